"""The other machine's end of an offboard map: ``ros2 launch reconx_ros worker.launch.py``."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from reconx_ros.ros.launching import WORKER_ARGUMENTS, environment, truth


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in WORKER_ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    values = {name: LaunchConfiguration(name).perform(context) for name in WORKER_ARGUMENTS}
    folder = Path(get_package_share_directory("reconx_ros")) / "config"
    worker = Node(
        package="reconx_ros",
        executable="reconx_worker",
        name="reconx_worker",
        namespace=values["namespace"],
        output="screen",
        emulate_tty=True,
        parameters=[{"output": values["output"], "link_bandwidth": float(values["link_bandwidth"])}],
        arguments=["--ros-args", "--log-level", values["log_level"]],
        respawn=truth(values["use_respawn"]),
        respawn_delay=2.0,
        # The map is saved on SIGINT; launch must not lose patience meanwhile.
        sigterm_timeout="75",
        sigkill_timeout="75",
    )
    return [*(SetEnvironmentVariable(name, value) for name, value in environment(folder).items()), worker]
