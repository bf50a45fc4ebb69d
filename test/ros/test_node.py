"""The real node over Fast DDS: recording played by one process, mapped by another, read by this one."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ros_frames as frames
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Path as PathMessage
from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from reconx_msgs.srv import SaveMap
from ros_helpers import Process, call, listen, ros_arguments, spin_until
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage

from reconx_ros.mapping.folder import load
from reconx_ros.ros.cloud_message import from_message
from reconx_ros.ros.messages import time_message
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.ros.rows import gaussians_from_rows

NODE = "reconx_ros.ros.node"
KITCHEN = [
    "image:=/camera/color/image_raw",
    "camera_info:=/camera/color/camera_info",
    "depth:=/camera/aligned_depth_to_color/image_raw",
    "depth_camera_info:=/camera/aligned_depth_to_color/camera_info",
]


def test_recording_becomes_a_map_that_a_late_joiner_reads_and_interrupt_saves(
    ros: Node, launch: Callable[..., Process], redkitchen_bag: Path, tmp_path: Path
) -> None:
    statuses = listen(ros, MapStatus, "/reconx/status")
    points = listen(ros, PointCloud2, "/reconx/points")
    previews = listen(ros, Image, "/reconx/rendered_image")
    node = launch(NODE, *ros_arguments(KITCHEN, output=tmp_path / "map", use_sim_time=True))
    player = launch(
        "reconx_ros.ros.player",
        str(redkitchen_bag),
        "--clock",
        "--rate",
        "2",
        "--wait-for-subscribers",
        "7",
    )
    assert spin_until(ros, lambda: player.popen.poll() is not None, 60), player.output
    assert player.popen.returncode == 0, player.output
    assert spin_until(ros, lambda: any(s.map_version > 0 for s in statuses), 90), node.output
    assert spin_until(ros, lambda: len(points) >= 3, 30)
    last = statuses[-1]
    assert last.header.frame_id == "map"
    assert spin_until(ros, lambda: bool(previews), 30)
    assert (previews[-1].width, previews[-1].height, previews[-1].encoding) == (320, 240, "rgb8")
    assert previews[-1].header.frame_id == "camera_color_optical_frame"
    assert last.frames_received >= 70  # of 80, best effort: some pass while endpoints still match
    # /points: in the optical frame, stamped with a capture time of the bag, before the camera.
    for cloud in points:
        assert cloud.header.frame_id == "camera_color_optical_frame"
        assert cloud.header.stamp.sec in range(1_600_000_000, 1_600_000_014)
        rows = from_message(cloud)
        assert rows["z"].min() > 0.3
        assert rows["z"].max() < 8.01
        assert not rows["provenance"].any()

    # A third party that was not there: what is latched comes at once.
    map_points = listen(ros, PointCloud2, "/reconx/map_points", late=True)
    gaussians = listen(ros, PointCloud2, "/reconx/gaussians", late=True)
    path = listen(ros, PathMessage, "/reconx/keyframes", late=True)
    assert spin_until(ros, lambda: bool(map_points and gaussians and path))
    assert map_points[0].header.frame_id == gaussians[0].header.frame_id == "map"
    assert len(path[0].poses) >= 3
    cloud = from_message(map_points[0])
    assert len(cloud) > 5000
    # The kitchen is a few metres wide and the camera lies within what it has seen.
    extent = np.array([np.ptp(cloud[axis]) for axis in "xyz"])
    assert (extent > 0.5).all()
    assert (extent < 15).all()

    saved = call(ros, SaveMap, "/reconx/save_map", path=str(tmp_path / "asked"))
    assert (saved.code, saved.path) == (SaveMap.Response.OK, str(tmp_path / "asked"))
    bad = call(ros, SaveMap, "/reconx/save_map", path="/dev/null/map")
    assert (bad.success, bad.code) == (False, SaveMap.Response.BAD_PATH)
    assert "/dev/null/map" in bad.message

    assert node.interrupt(times=3) == 0, node.output
    node.wait_for(f"saved to {tmp_path / 'map'}")
    assert "Traceback" not in node.output
    on_disk = load(tmp_path / "map")
    sent = gaussians_from_rows(from_message(gaussians[-1]))
    assert len(on_disk.gaussians) >= 0.9 * len(sent) > 1000


def test_a_topic_of_another_type_is_named_and_not_offered(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    words = ros.create_publisher(String, "/image", reliable())
    colour = ros.create_publisher(Image, "/elsewhere", reliable())
    node = launch(NODE, *ros_arguments([], output=tmp_path / "map"))
    node.wait_for("; /image is published as std_msgs/msg/String")
    node.wait_for("Topics of the right type: image: /elsewhere; camera_info: none")
    assert node.interrupt() == 0
    for publisher in (words, colour):
        ros.destroy_publisher(publisher)


def test_bad_input_is_one_line_each_and_the_node_lives(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    node = launch(NODE, *ros_arguments([], output=tmp_path / "map", input_qos="reliable"))
    statuses = listen(ros, MapStatus, "/reconx/status")
    diagnostics = listen(ros, DiagnosticArray, "/diagnostics")
    colour = ros.create_publisher(Image, "/image", reliable())
    depth = ros.create_publisher(Image, "/depth", reliable())
    info = ros.create_publisher(CameraInfo, "/camera_info", reliable())
    static = ros.create_publisher(TFMessage, "/tf_static", latched())
    publishers = (colour, depth, info, static)
    assert spin_until(ros, lambda: all(p.get_subscription_count() for p in publishers)), node.output

    def feed(image: Image, depth_image: Image, calibration: CameraInfo) -> None:
        for publisher, message in ((info, calibration), (depth, depth_image), (colour, image)):
            publisher.publish(message)

    def stamp() -> int:
        return time.time_ns()

    begin = stamp()
    feed(frames.image(begin), frames.depth(begin), frames.camera_info(begin))
    node.wait_for("no transform map -> camera_optical after 5 s")
    item = TransformStamped(child_frame_id=frames.CAMERA)
    item.header.frame_id, item.header.stamp, item.transform.rotation.w = "map", time_message(0), 1.0
    static.publish(TFMessage(transforms=[item]))

    cases = {
        "image encoding 'jp2' is unknown": lambda s: feed(
            frames.image(s, "jp2"), frames.depth(s), frames.camera_info(s)
        ),
        "an uncalibrated camera": lambda s: feed(
            frames.image(s), frames.depth(s), frames.camera_info(s, focal=0.0)
        ),
        "80 x 60": lambda s: feed(frames.image(s), frames.depth(s, scale=2), frames.camera_info(s)),
    }
    for line, spoil in cases.items():
        spoil(stamp())
        node.wait_for(line)
    good = stamp()
    feed(frames.image(good), frames.depth(good), frames.camera_info(good))
    assert spin_until(ros, lambda: bool(statuses) and statuses[-1].state == "mapping", 60), node.output
    # It may compile first, and whoever ends it then is told that there is no map yet.
    assert spin_until(ros, lambda: statuses[-1].keyframes == 1 and not statuses[-1].queue, 240), node.output
    dropped = dict(zip(statuses[-1].drop_reasons, statuses[-1].drop_counts, strict=True))
    assert dropped["no_pose"] == 1
    assert dropped["unusable"] == 3
    # Waiting for the pose above may have been a silence of its own, with fewer images.
    counted = "Messages so far: image on /image or /image/compressed: 5,"
    node.wait_for(counted, 45)
    silence = next(line for line in node.output.splitlines() if counted in line)
    assert "no image and camera_info and depth in 5 s" in silence
    assert "Topics of the right type: image: /depth, /image;" in silence
    assert diagnostics[-1].status[0].name == "reconx: map"
    assert node.interrupt() == 0
    node.wait_for("1 keyframes saved to")


def test_services_lifecycle_and_a_folder_that_cannot_be_written(
    ros: Node, launch: Callable[..., Process]
) -> None:
    node = launch(NODE, *ros_arguments([], output="/dev/null/map", autostart=False))

    def change(transition: int) -> bool:
        request = Transition(id=transition)
        return bool(call(ros, ChangeState, "/reconx/change_state", transition=request).success)

    def state() -> int:
        return int(call(ros, GetState, "/reconx/get_state").current_state.id)

    node.wait_for("waiting to be configured")
    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_ACTIVATE)
    statuses = listen(ros, MapStatus, "/reconx/status")
    assert spin_until(ros, lambda: bool(statuses) and statuses[-1].worker == "idle", 60), node.output
    assert statuses[-1].state == "waiting"
    assert call(ros, SetBool, "/reconx/pause", data=True).message == "paused"
    assert spin_until(ros, lambda: statuses[-1].paused and statuses[-1].state == "paused", 30)
    assert call(ros, SetBool, "/reconx/pause", data=False).success
    assert call(ros, Trigger, "/reconx/reset").success
    empty = call(ros, SaveMap, "/reconx/save_map")
    assert empty.code == SaveMap.Response.NO_MAP
    node.wait_for("output folder /dev/null/map is not writable")
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert change(Transition.TRANSITION_CLEANUP)
    assert change(Transition.TRANSITION_CONFIGURE)
    assert state() == State.PRIMARY_STATE_INACTIVE
    assert node.interrupt() == 0, node.output


def test_bad_parameters_are_one_line(launch: Callable[..., Process]) -> None:
    node = launch(NODE, *ros_arguments([], preset="best"))
    assert node.popen.wait(60) == 2
    node.wait_for("preset = 'best' is unknown; choose one of fast, balanced, quality")
    assert "Traceback" not in node.output


def test_the_ros_process_loads_no_heavy_library(tmp_path: Path) -> None:
    program = tmp_path / "check.py"
    program.write_text(
        "import sys, reconx_ros.ros.node\n"
        "print('loaded:', sorted({'torch', 'open3d', 'numba', 'diffusers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "loaded: []\n", done.stderr


def test_a_stereo_pair_is_subscribed_to_in_place_of_depth(
    launch: Callable[..., Process], tmp_path: Path
) -> None:
    remapped = ["image:=/left/image_rect", "right_image:=/right/image_rect"]
    node = launch(NODE, *ros_arguments(remapped, output=tmp_path / "map", depth_mode="stereo"))
    node.wait_for("depth: /right/image_rect or /right/image_rect/compressed")
    node.wait_for("depth_camera_info: /right_camera_info")
    assert node.interrupt() == 0
