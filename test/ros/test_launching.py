"""What the launch files decide; and the files themselves where ``launch`` is installed."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from reconx_ros.errors import ConfigError
from reconx_ros.ros.launching import (
    ARGUMENTS,
    CAMERAS,
    WORKER_ARGUMENTS,
    config_folder,
    environment,
    parameter_overrides,
    play_command,
    remappings,
    rviz_remappings,
    with_camera,
)
from reconx_ros.ros.parameter_specs import SPECS

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {name: default for name, (default, _) in ARGUMENTS.items()}


def test_nothing_given_leaves_everything_to_the_yaml_file() -> None:
    assert parameter_overrides(DEFAULTS) == {}
    assert remappings(DEFAULTS) == []


def test_what_is_given_wins_and_is_a_declared_parameter() -> None:
    given = parameter_overrides(
        {**DEFAULTS, "map_frame": "world", "autostart": "false", "preset": "quality"}
    )
    assert given == {"map_frame": "world", "autostart": False, "preset": "quality"}
    assert set(given) <= {spec.name for spec in SPECS}


def test_every_argument_that_is_a_parameter_has_its_type() -> None:
    specs = {spec.name: spec for spec in SPECS}
    words = {str: "word", bool: "true", float: "0.5"}
    values = {name: words[type(specs[name].default)] for name in ARGUMENTS if name in specs}
    given = parameter_overrides({**DEFAULTS, **values})
    assert set(given) == set(values)
    assert all(type(value) is type(specs[name].default) for name, value in given.items())
    with pytest.raises(ConfigError, match="distance_field = 'x': a number is needed"):
        parameter_overrides({**DEFAULTS, "distance_field": "x"})


def test_a_pair_and_a_trajectory_are_mapped() -> None:
    values = {
        **DEFAULTS,
        "right_image_topic": "/right/image_rect/compressed",
        "trajectory_topic": "/mapPath",
    }
    assert remappings(values) == [
        ("right_image/compressed", "/right/image_rect/compressed"),
        ("right_camera_info", "/right/camera_info"),
        ("trajectory", "/mapPath"),
    ]


def test_in_a_namespace_rviz_shows_what_is_there() -> None:
    layout = yaml.safe_load((ROOT / "config" / "reconx.rviz").read_text())
    shown = {d["Topic"]["Value"] for d in layout["Visualization Manager"]["Displays"] if "Topic" in d}
    mapped = dict(rviz_remappings(ROOT / "config" / "reconx.rviz"))
    assert set(mapped) == shown
    assert all(topic == f"/{relative}" for topic, relative in mapped.items())


def test_the_package_depends_on_every_ros_package_it_imports() -> None:
    """Of ours and of the launch files; and on what launch runs."""
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    named = {one.text for one in package if one.tag.endswith("depend")}
    files = [*(ROOT / "reconx_ros" / "ros").glob("*.py"), *(ROOT / "launch").glob("*.py")]
    imported = {
        name.split(".")[0]
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom) and node.module
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    ros = re.compile(r"(.*_(msgs|srvs|interfaces)|rclpy|launch.*|ament_index_python|tf2_ros)$")
    needed = {name.replace("tf2_ros", "tf2_ros_py") for name in imported if ros.match(name)}
    own = {"reconx_msgs", "gsplat_msgs"}  # built from msg/; optional
    assert needed - own <= named
    assert {"rviz2", "ros2bag", "rosbag2_storage_mcap"} <= named


def test_replay_leaves_topics_to_the_camera() -> None:
    text = (ROOT / "launch" / "replay.launch.py").read_text()
    assert not re.search(r'"/[a-z]', text)
    (camera,) = re.findall(r'^CAMERA = "(\w+)"$', text, re.MULTILINE)
    assert camera in CAMERAS
    given = with_camera({**DEFAULTS, "camera": "zed", "bag": "walk"})
    assert given["rgb_topic"] == CAMERAS["zed"]["rgb_topic"]


def test_a_bag_forces_its_own_time() -> None:
    values = {**DEFAULTS, "bag": "kitchen", "use_sim_time": "false", "rate": "2"}
    assert parameter_overrides(values)["use_sim_time"] is True
    assert play_command(values) == ["ros2", "bag", "play", "kitchen", "--clock", "100", "--rate", "2"]


def test_topics_map_onto_the_input_of_their_transport() -> None:
    values = {
        **DEFAULTS,
        "rgb_topic": "/cam/rgb/compressed",
        "depth_topic": "/cam/depth/image/compressedDepth",
        "camera_info_topic": "/cam/camera_info",
    }
    assert remappings(values) == [
        ("image/compressed", "/cam/rgb/compressed"),
        ("depth/compressedDepth", "/cam/depth/image/compressedDepth"),
        ("camera_info", "/cam/camera_info"),
        ("depth_camera_info", "/cam/depth/camera_info"),
    ]


def test_the_users_middleware_profile_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    (profile,) = environment(ROOT / "config").values()
    assert Path(profile).is_file()
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert environment(ROOT / "config") == {}


def test_the_rviz_layout_shows_topics_of_the_node() -> None:
    layout = yaml.safe_load((ROOT / "config" / "reconx.rviz").read_text())
    topics = [d["Topic"]["Value"] for d in layout["Visualization Manager"]["Displays"] if "Topic" in d]
    clouds = ("map_points", "gaussians", "points", "distance_field")
    assert set(topics) == {f"/reconx/{name}" for name in (*clouds, "keyframes", "keyframe_markers")}


@pytest.mark.parametrize("name", ["reconx", "replay", "worker"])
def test_launch_file_compiles(name: str) -> None:
    file = ROOT / "launch" / f"{name}.launch.py"
    compile(file.read_text(), str(file), "exec")


@pytest.mark.parametrize("name", ["reconx", "replay", "worker"])
def test_launch_file_describes_the_arguments(name: str) -> None:
    launch = pytest.importorskip("launch.launch_description_sources", reason="launch is not installed")
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    source = launch.PythonLaunchDescriptionSource(str(ROOT / "launch" / f"{name}.launch.py"))
    description = source.try_get_launch_description_without_context()
    wanted = WORKER_ARGUMENTS if name == "worker" else ARGUMENTS
    assert {a.name for a in description.get_launch_arguments()} >= set(wanted)


def test_the_profile_is_found_in_the_source_tree() -> None:
    assert (config_folder() / "fastdds.xml").is_file()
    assert (config_folder() / "reconx.yaml").is_file()


def test_a_known_camera_gives_its_topics_and_the_command_line_wins() -> None:
    given = with_camera({**DEFAULTS, "camera": "oak", "depth_topic": "/mine"})
    assert given["rgb_topic"] == "/oak/rgb/image_raw"
    assert given["depth_topic"] == "/mine"
    assert ("image", "/oak/rgb/image_raw") in remappings(given)
    assert with_camera(DEFAULTS) == DEFAULTS
    for camera, topics in CAMERAS.items():
        assert set(topics) <= set(ARGUMENTS), camera
    with pytest.raises(ConfigError, match="camera 'kinect' is unknown; choose one of realsense"):
        with_camera({**DEFAULTS, "camera": "kinect"})


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_known_camera_maps_every_input(camera: str) -> None:
    given = with_camera({**DEFAULTS, "camera": camera})
    mapped = dict(remappings(given))
    assert {"image", "camera_info", "depth", "depth_camera_info"} <= set(mapped)
    assert all(topic.startswith("/") for topic in mapped.values())
    assert mapped["camera_info"].rpartition("/")[0] == mapped["image"].rpartition("/")[0]


def test_the_page_about_cameras_has_every_camera_and_known_arguments() -> None:
    page = (ROOT / "docs" / "cameras.md").read_text()
    assert set(re.findall(r"camera:=([a-z_0-9]+)", page)) | {"zed_5_0"} == set(CAMERAS)
    assert "`zed_5_0`" in page
    for block in re.findall(r"```\n(.*?)```", page, re.DOTALL):
        for command in block.replace("\\\n", " ").splitlines():
            if command.startswith("ros2 launch reconx_ros"):
                words = command.split()
                assert (ROOT / "launch" / words[3]).is_file()
                assert {word.partition(":=")[0] for word in words[4:]} <= set(ARGUMENTS), command


def test_a_camera_of_a_recording_keeps_the_recordings_time() -> None:
    given = with_camera({**DEFAULTS, "camera": "zed", "bag": "walk", "use_sim_time": "no"})
    assert parameter_overrides(given)["use_sim_time"] is True
    assert ("image", "/zed/zed_node/rgb/color/rect/image") in remappings(given)
