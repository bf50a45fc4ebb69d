"""Start the mapping node: ``ros2 launch reconx_ros reconx.launch.py rgb_topic:=... depth_topic:=...``."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from reconx_ros.ros.launching import (
    ARGUMENTS,
    environment,
    parameter_overrides,
    play_command,
    remappings,
    rviz_remappings,
    truth,
    with_camera,
)


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = with_camera({name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS})
    folder = Path(get_package_share_directory("reconx_ros")) / "config"
    actions = [SetEnvironmentVariable(name, value) for name, value in environment(folder).items()]
    actions.append(mapping_node(values, folder))
    if truth(values["rviz"]):
        actions.append(rviz(values, folder))
    if values["bag"]:
        actions.append(ExecuteProcess(cmd=play_command(values), output="screen"))
    return actions


def mapping_node(values: dict[str, str], folder: Path) -> Node:
    return Node(
        package="reconx_ros",
        executable="reconx_node",
        name="reconx",
        namespace=values["namespace"],
        output="screen",
        emulate_tty=True,
        parameters=[values["params_file"] or str(folder / "reconx.yaml"), parameter_overrides(values)],
        remappings=remappings(values),
        arguments=["--ros-args", "--log-level", values["log_level"]],
        respawn=truth(values["use_respawn"]),
        respawn_delay=2.0,
        # The map is saved on SIGINT; launch must not lose patience meanwhile.
        sigterm_timeout="75",
        sigkill_timeout="75",
    )


def rviz(values: dict[str, str], folder: Path) -> Node:
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=values["namespace"],
        arguments=["-d", str(folder / "reconx.rviz")],
        remappings=rviz_remappings(folder / "reconx.rviz"),
        parameters=[{"use_sim_time": bool(parameter_overrides(values).get("use_sim_time", False))}],
        output="log",
    )
