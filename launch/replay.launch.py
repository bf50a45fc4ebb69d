"""Map a recording: ``ros2 launch reconx_ros replay.launch.py bag:=my_bag``; time is the bag's."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription
from reconx_ros.ros.launching import ARGUMENTS

CAMERA = "realsense"
"""Whose topics a recording is taken to have, unless ``camera`` or topics are given."""


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(
            name, default_value=CAMERA if name == "camera" else default, description=description
        )
        for name, (default, description) in ARGUMENTS.items()
        if name != "bag"
    ]
    bag = DeclareLaunchArgument("bag", description="Recording to play (rosbag2 folder or .mcap).")
    source = Path(get_package_share_directory("reconx_ros")) / "launch" / "reconx.launch.py"
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(source)),
        launch_arguments={name: LaunchConfiguration(name) for name in ARGUMENTS}.items(),
    )
    return LaunchDescription([bag, *declared, node])
