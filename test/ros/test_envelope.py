"""Reading the header of serialised messages, against rclpy's own serialisation."""

import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from reconx_ros.errors import SourceError
from reconx_ros.ros.envelope import read_envelope

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=30
)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 999_999_999), NAMES)
@settings(deadline=None)
def test_stamp_and_frame_are_those_that_were_serialised(seconds: int, nanoseconds: int, frame: str) -> None:
    head = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame)
    for kind, message in (("Image", Image(header=head)), ("CameraInfo", CameraInfo(header=head))):
        envelope = read_envelope(kind, serialize_message(message))
        assert envelope.stamp_ns == seconds * 10**9 + nanoseconds
        assert envelope.frame_id == frame


@given(st.binary(max_size=40))
def test_garbage_is_read_or_refused_in_one_line(payload: bytes) -> None:
    try:
        read_envelope("Image", payload)
    except SourceError as err:
        assert "\n" not in str(err)


def test_a_cut_message_is_refused() -> None:
    whole = serialize_message(Image(header=Header(frame_id="camera_optical_frame")))
    with pytest.raises(SourceError, match="ends within its header"):
        read_envelope("Image", whole[:20])
