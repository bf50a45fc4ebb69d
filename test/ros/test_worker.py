"""The worker in this process."""

from dataclasses import replace

from ros_bench import keyframe

from reconx_ros.config import load_config
from reconx_ros.ros.link_commands import AddKeyframe, Begin
from reconx_ros.ros.link_replies import Reply, Trouble
from reconx_ros.ros.map_worker import NO_PARALLAX, MapWorker


def test_a_camera_that_never_moves_aside_is_told_to() -> None:
    config = load_config("fast", overrides={"geometry": {"method": "plane-sweep"}})
    replies: list[Reply] = []
    worker = MapWorker(Begin(config), replies.append)
    view = keyframe(0, with_depth=False)
    for index in range(4):
        assert Trouble(NO_PARALLAX) not in replies
        worker._add(AddKeyframe(replace(view, name=f"{index:06d}", stamp_ns=index), "camera"))
    assert Trouble(NO_PARALLAX) in replies
