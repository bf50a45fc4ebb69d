"""Topics are chosen as people name them."""

import pytest

from reconx_ros.errors import SourceError
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.messages import CAMERA_INFO, COMPRESSED, IMAGE, ODOMETRY, TF
from reconx_ros.sources.topics import choose_topics, is_rectified, is_registered

REALSENSE = {
    "/camera/color/image_raw": IMAGE,
    "/camera/color/image_raw/compressed": COMPRESSED,
    "/camera/color/camera_info": CAMERA_INFO,
    "/camera/infra1/image_rect_raw": IMAGE,
    "/camera/infra1/camera_info": CAMERA_INFO,
    "/camera/depth/image_rect_raw": IMAGE,
    "/camera/depth/camera_info": CAMERA_INFO,
    "/camera/aligned_depth_to_color/image_raw": IMAGE,
    "/camera/aligned_depth_to_color/image_raw/compressedDepth": COMPRESSED,
    "/camera/aligned_depth_to_color/camera_info": CAMERA_INFO,
    "/odom": ODOMETRY,
    "/tf": TF,
    "/tf_static": TF,
}


def test_compressed_colour_and_aligned_depth_first() -> None:
    topics = choose_topics(REALSENSE, SourceConfig())
    assert topics.image == "/camera/color/image_raw/compressed"
    assert topics.camera_info == "/camera/color/camera_info"
    assert topics.depth == "/camera/aligned_depth_to_color/image_raw"
    assert topics.depth_camera_info == "/camera/aligned_depth_to_color/camera_info"
    assert (topics.odom, topics.tf, topics.tf_static) == ("/odom", ("/tf",), ("/tf_static",))
    assert "" not in topics.all and len(topics.all) == 7


def test_names_given_win() -> None:
    config = SourceConfig(
        image_topic="/camera/infra1/image_rect_raw", depth_topic="/camera/depth/image_rect_raw"
    )
    topics = choose_topics(REALSENSE, config)
    assert topics.camera_info == "/camera/infra1/camera_info"
    assert topics.depth_camera_info == "/camera/depth/camera_info"


def test_the_only_camera_info_serves_wherever_it_is() -> None:
    topics = choose_topics({"/usb/image": IMAGE, "/calibration": CAMERA_INFO}, SourceConfig())
    assert (topics.image, topics.camera_info, topics.depth) == ("/usb/image", "/calibration", "")


@pytest.mark.parametrize(
    "available", [{}, {"/scan": "sensor_msgs/msg/LaserScan"}, {"/camera/depth/image": IMAGE}]
)
def test_no_colour_lists_what_there_is(available: dict[str, str]) -> None:
    with pytest.raises(SourceError) as caught:
        choose_topics(available, SourceConfig())
    assert all(f"{topic} ({kind})" in str(caught.value) for topic, kind in available.items())


def test_what_names_say() -> None:
    assert is_rectified("/left/image_rect_color") and is_rectified("/depth/image_rect/compressed")
    assert not is_rectified("/rect/image_raw") and not is_rectified("/camera/direct")
    assert is_registered("/camera/depth_registered/image") and not is_registered("/camera/depth/image")


def test_names_of_a_damaged_file_stay_on_one_line() -> None:
    with pytest.raises(SourceError) as caught:
        choose_topics({"/a\nb": "x\r/y\x1b[2J"}, SourceConfig())
    assert str(caught.value).isprintable() and "/a b (x /y?[2J)" in str(caught.value)
