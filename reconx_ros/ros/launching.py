"""What the launch files decide: arguments to parameters and remappings. Plain values, no ``launch``."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from reconx_ros.errors import ConfigError

ARGUMENTS: Mapping[str, tuple[str, str]] = {
    "namespace": ("", "Namespace of the node."),
    "params_file": ("", "YAML file of parameters (default: reconx.yaml of this package)."),
    "use_sim_time": ("", "Time from /clock; true whenever a bag is given."),
    "autostart": ("", "Configure and activate the node at once."),
    "use_respawn": ("false", "Start the node again when it dies."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
    "rviz": ("false", "Also start RViz."),
    "bag": ("", "Recording to play with /clock; empty: live input."),
    "rate": ("1.0", "Speed at which the recording is played."),
    "camera": (
        "",
        "realsense, zed, zed_5_0, oak, turtlebot or turtlebot_sim: its driver's topics.",
    ),
    "cameras": ("", "Names of several cameras, with commas; their topics are NAME/image and so on."),
    "depth_mode": ("", "required, optional, none, or stereo for a pair."),
    "input_qos": ("", "Reliability asked of image topics: best_effort or reliable."),
    "rgb_topic": ("image", "Colour images (of a pair: of the left camera), raw or .../compressed."),
    "depth_topic": ("depth", "Depth images, raw or .../compressedDepth."),
    "camera_info_topic": ("camera_info", "Calibration of the colour camera."),
    "depth_camera_info_topic": ("", "Calibration of the depth camera (default: beside depth_topic)."),
    "right_image_topic": ("right_image", "Images of the right camera, where depth_mode is stereo."),
    "right_camera_info_topic": ("", "Its calibration (default: beside right_image_topic)."),
    "odom_topic": ("odom", "Odometry, where poses do not come from TF."),
    "trajectory_topic": ("trajectory", "The path that SLAM has optimised."),
    "map_frame": ("", "World frame of the map."),
    "odom_frame": ("", "World where TF does not join the map frame to the camera."),
    "base_frame": ("", "Child frame of odometry messages that name none."),
    "preset": ("", "fast, balanced or quality."),
    "config_file": ("", "YAML file of stage settings over the preset."),
    "synthesizer": ("", "Who films what no camera saw: auto, small, push-pull, wan-vace or none."),
    "output": ("", "Folder maps are saved to."),
    "resume": ("", "Go on with the unfinished run that the output folder holds."),
    "occupancy_grid": ("", "Publish a floor plan for Nav2's static layer."),
    "distance_field": ("", "Metres a voxel of the distance field saved with maps."),
    "distance_field_radius": ("", "Metres round the robot of the distance field that is published."),
    "rviz_splats": ("", "Publish the Gaussians for RVizSplat too."),
    "worker": ("", "onboard, or offboard with worker.launch.py on the other machine."),
    "link_bandwidth": ("", "Mbit/s at most to an offboard worker."),
}
"""Launch arguments: default and description. An empty value leaves what the YAML file says."""

WORKER_ARGUMENTS: Mapping[str, tuple[str, str]] = {
    "namespace": ("", "Namespace of the robot's node."),
    "output": ("", "Folder maps are saved to on this machine."),
    "link_bandwidth": ("0.0", "Mbit/s at most to the robot; 0: no bound."),
    "use_respawn": ("true", "Start the worker again when it dies; the robot tells it everything."),
    "log_level": ("info", "debug, info, warn, error or fatal."),
}
"""Launch arguments of the worker on another machine."""

CAMERAS: Mapping[str, Mapping[str, str]] = {
    "realsense": {  # realsense2_camera, align_depth.enable:=true
        "rgb_topic": "/camera/camera/color/image_raw",
        "depth_topic": "/camera/camera/aligned_depth_to_color/image_raw",
        "camera_info_topic": "/camera/camera/color/camera_info",
    },
    "zed": {  # zed_wrapper from 5.1
        "rgb_topic": "/zed/zed_node/rgb/color/rect/image",
        "depth_topic": "/zed/zed_node/depth/depth_registered",
        "camera_info_topic": "/zed/zed_node/rgb/color/rect/camera_info",
        "depth_camera_info_topic": "/zed/zed_node/depth/camera_info",
        "odom_topic": "/zed/zed_node/odom",
    },
    "zed_5_0": {  # zed_wrapper up to 5.0
        "rgb_topic": "/zed/zed_node/rgb/image_rect_color",
        "depth_topic": "/zed/zed_node/depth/depth_registered",
        "camera_info_topic": "/zed/zed_node/rgb/camera_info",
        "depth_camera_info_topic": "/zed/zed_node/depth/camera_info",
        "odom_topic": "/zed/zed_node/odom",
    },
    "oak": {  # depthai_ros_driver, depth aligned to colour (its default)
        "rgb_topic": "/oak/rgb/image_raw",
        "depth_topic": "/oak/stereo/image_raw",
        "camera_info_topic": "/oak/rgb/camera_info",
    },
    "turtlebot": {  # TurtleBot 4: its OAK-D (pipeline RGBD) and odometry
        "rgb_topic": "/oakd/rgb/image_raw",
        "depth_topic": "/oakd/stereo/image_raw",
        "camera_info_topic": "/oakd/rgb/camera_info",
        "odom_topic": "/odom",
    },
    "turtlebot_sim": {  # TurtleBot 4 in Gazebo
        "rgb_topic": "/oakd/rgb/preview/image_raw",
        "depth_topic": "/oakd/rgb/preview/depth",
        "camera_info_topic": "/oakd/rgb/preview/camera_info",
        "odom_topic": "/odom",
    },
}
"""Topics as camera drivers name them; what is given on the command line wins."""

_WORDS = (
    "cameras",
    "depth_mode",
    "input_qos",
    "map_frame",
    "odom_frame",
    "base_frame",
    "preset",
    "config_file",
    "synthesizer",
    "output",
    "worker",
)


_NUMBERS = ("link_bandwidth", "distance_field", "distance_field_radius")

_SWITCHES = ("use_sim_time", "autostart", "resume", "occupancy_grid", "rviz_splats")


def parameter_overrides(arguments: Mapping[str, str]) -> dict[str, str | bool | float]:
    """Return the parameters given as launch arguments; they win over the YAML file.

    Args:
        arguments: values of ``ARGUMENTS``.

    Raises:
        ConfigError: what should be a number is none.
    """
    given: dict[str, str | bool | float] = {name: arguments[name] for name in _WORDS if arguments[name]}
    given |= {name: _number(name, arguments[name]) for name in _NUMBERS if arguments[name]}
    given |= {name: truth(arguments[name]) for name in _SWITCHES if arguments[name]}
    if arguments["bag"]:
        given["use_sim_time"] = True
    return given


def remappings(arguments: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (from, to) for the node's inputs; compressed topics map onto compressed inputs."""
    pairs = [
        _image("image", "compressed", arguments["rgb_topic"]),
        _image("depth", "compressedDepth", arguments["depth_topic"]),
        ("camera_info", arguments["camera_info_topic"]),
        ("depth_camera_info", arguments["depth_camera_info_topic"] or _beside(arguments["depth_topic"])),
        _image("right_image", "compressed", arguments["right_image_topic"]),
        (
            "right_camera_info",
            arguments["right_camera_info_topic"] or _beside(arguments["right_image_topic"]),
        ),
        ("odom", arguments["odom_topic"]),
        ("trajectory", arguments["trajectory_topic"]),
    ]
    return [(name, topic) for name, topic in pairs if topic and name != topic]


def with_camera(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments with the topics of ``camera`` where none are given.

    Raises:
        ConfigError: no such camera is known.
    """
    camera = arguments["camera"]
    if camera and camera not in CAMERAS:
        raise ConfigError(f"camera '{camera}' is unknown; choose one of {', '.join(CAMERAS)}")
    topics = CAMERAS.get(camera, {})
    given = {name for name, value in arguments.items() if value != ARGUMENTS.get(name, ("", ""))[0]}
    return {**arguments, **{name: topic for name, topic in topics.items() if name not in given}}


def play_command(arguments: Mapping[str, str]) -> list[str]:
    """Return the command that plays the bag with /clock."""
    return ["ros2", "bag", "play", arguments["bag"], "--clock", "100", "--rate", arguments["rate"]]


def rviz_remappings(layout: Path) -> list[tuple[str, str]]:
    """Return (from, to) that put the topics of an RViz layout into RViz's own namespace."""
    topics = re.findall(r"^ +Value: (/reconx/\S+)$", layout.read_text(), re.MULTILINE)
    return [(topic, topic.removeprefix("/")) for topic in sorted(set(topics))]


def environment(folder: Path) -> dict[str, str]:
    """Return variables to set: the Fast DDS profile in ``folder``, unless the user has chosen one."""
    chosen = {"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"} & set(os.environ)
    return {} if chosen else {"FASTRTPS_DEFAULT_PROFILES_FILE": str(folder / "fastdds.xml")}


def config_folder() -> Path:
    """Return ``config/`` of this package: of the source tree, a colcon install or Python's prefix."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    shares = [Path(prefix) / "share" / "reconx_ros" / "config" for prefix in prefixes if prefix]
    source = Path(__file__).resolve().parents[2] / "config"
    return next((folder for folder in (source, *shares) if (folder / "fastdds.xml").is_file()), source)


def truth(text: str) -> bool:
    """Return whether a launch argument says yes."""
    return text.strip().lower() in ("true", "1", "yes", "on")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise ConfigError(f"{name} = '{text}': a number is needed") from err


def _image(name: str, suffix: str, topic: str) -> tuple[str, str]:
    return (f"{name}/{suffix}", topic) if topic.endswith(f"/{suffix}") else (name, topic)


def _beside(depth: str) -> str:
    """Return the camera_info in the namespace of a depth or right topic; empty for the unmapped input."""
    base = depth.removesuffix("/compressedDepth").removesuffix("/compressed")
    return f"{base.rpartition('/')[0]}/camera_info" if "/" in base else ""
