"""Topics of images, as remappings say."""

import pytest
from rclpy.node import Node

from reconx_ros.ros.inputs import image_topics


@pytest.mark.parametrize(
    ("remapping", "raw", "compressed"),
    [
        ("", "/image", "/image/compressed"),
        ("image:=/cam/color", "/cam/color", "/cam/color/compressed"),
        ("image/compressed:=/cam/color/compressed", "/cam/color", "/cam/color/compressed"),
        ("image:=/cam/color/compressed", "/cam/color", "/cam/color/compressed"),
        ("image/compressed:=/cam/jpeg", "/cam/jpeg", "/cam/jpeg"),
    ],
)
def test_the_compressed_topic_lies_under_the_raw_one(
    context: None, remapping: str, raw: str, compressed: str
) -> None:
    arguments = ["--ros-args", "-r", remapping] if remapping else []
    node = Node("topics", cli_args=arguments, use_global_arguments=False)
    try:
        assert image_topics(node, "image") == (raw, compressed)
    finally:
        node.destroy_node()


def test_compressed_depth_is_known_by_its_name(context: None) -> None:
    arguments = ["--ros-args", "-r", "front/depth:=/cam/depth/compressedDepth"]
    node = Node("topics", cli_args=arguments, use_global_arguments=False)
    try:
        assert image_topics(node, "depth", "front") == ("/cam/depth", "/cam/depth/compressedDepth")
    finally:
        node.destroy_node()
