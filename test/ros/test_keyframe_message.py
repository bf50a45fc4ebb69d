"""Keyframes as messages: names that come over the link."""

from dataclasses import replace

import pytest
from ros_journal import keyframe

from reconx_ros.ros.keyframe_message import DamagedKeyframeError, pack_keyframe, unpack_keyframe


@pytest.mark.parametrize("name", ["", "../journal", "a/b", ".hidden", "/etc/passwd"])
def test_a_keyframe_whose_name_is_no_file_name_is_damaged(name: str) -> None:
    """Names come over the link too, and a file is named after them."""
    with pytest.raises(DamagedKeyframeError, match="its name cannot be that of a file"):
        unpack_keyframe(pack_keyframe(replace(keyframe(0), name=name), "camera"))
