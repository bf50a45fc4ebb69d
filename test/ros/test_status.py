"""What the node tells about itself, with a clock of our own."""

from collections import Counter

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from reconx_ros.camera import Camera
from reconx_ros.ros.complaints import Complaints
from reconx_ros.ros.deltas import complete_delta
from reconx_ros.ros.diagnostics import diagnostics
from reconx_ros.ros.link_replies import MapUpdate
from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.messages import frusta_message, path_message
from reconx_ros.ros.rows import CLOUD_TYPE, gaussian_type
from reconx_ros.ros.silence import SilenceWatch
from reconx_ros.ros.status import Rates, clock_warning, drops, left_out_warning, map_status

HOUR = 3600 * 10**9


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rates_are_over_the_time_between_two_looks() -> None:
    clock = Time()
    rates = Rates(clock)
    clock.now += 2
    assert rates.step(Counter(image=60)) == {"image": 30.0}
    clock.now += 2
    assert rates.step(Counter(image=80)) == {"image": 10.0}


def test_silence_is_noticed_for_each_input_alone() -> None:
    clock = Time()
    watch = SilenceWatch(("image", "depth"), clock)
    clock.now += 4.9
    assert watch.silent(Counter(image=1)) == []
    clock.now += 0.2
    assert watch.silent(Counter(image=1)) == ["depth"]
    clock.now += 5
    assert watch.silent(Counter(image=1, depth=1)) == ["image"]


def test_what_never_came_is_said_again_and_what_has_fallen_silent_once() -> None:
    clock = Time()
    watch = SilenceWatch(("image", "depth"), clock)
    clock.now += 6
    assert watch.news(Counter(image=1)) == ["depth"]
    watch.told(["depth"])
    assert watch.news(Counter(image=1)) == ["depth"]
    assert watch.news(Counter(image=2, depth=1)) == []
    clock.now += 6
    both = Counter(image=2, depth=1)
    assert watch.news(both) == ["image", "depth"]
    assert watch.news(both) == ["image", "depth"]  # until it was written
    watch.told(["image", "depth"])
    assert watch.news(both) == []
    assert watch.news(Counter(image=3, depth=2)) == []
    clock.now += 6
    assert watch.news(Counter(image=3, depth=2)) == ["image", "depth"]


def test_a_clock_that_is_hours_off_or_silent_is_named() -> None:
    assert clock_warning(10 * HOUR, None) == ""
    assert clock_warning(10 * HOUR, 10 * HOUR - 59 * HOUR // 60) == ""
    assert "2.0 h off" in clock_warning(10 * HOUR, 8 * HOUR)
    assert "/clock" in clock_warning(0, 8 * HOUR)


def test_drops_are_named_and_sorted() -> None:
    assert drops(Counter({"no pose": 3, "too close": 9, "blurred": 0})) == (
        ["too_close", "no_pose"],
        [9, 3],
    )


def test_complaints_do_not_flood() -> None:
    clock, said = Time(), list[str]()
    complaints = Complaints(said.append, 30.0, clock)
    for _ in range(5):
        complaints.say("pose", "no pose")
    complaints.say("encoding", "bad encoding")
    clock.now += 31
    complaints.say("pose", "no pose")
    assert said == ["no pose", "bad encoding", "no pose (4 more like this)"]


def test_a_lost_worker_is_an_error_in_diagnostics() -> None:
    status = map_status(MapState(), "map", 5 * 10**9)
    status.worker, status.state = "idle", "waiting"
    assert diagnostics(status, "reconx", {}).status[0].level == DiagnosticStatus.OK
    status.worker = "lost"
    assert diagnostics(status, "reconx", {}).status[0].level == DiagnosticStatus.ERROR
    assert diagnostics(status, "reconx", {}).status[0].message == "worker lost"


def test_stage_times_are_those_of_the_last_map() -> None:
    state = MapState()
    points, gaussians = (
        complete_delta(1, np.zeros(2, CLOUD_TYPE)),
        complete_delta(1, np.zeros(1, gaussian_type(1))),
    )

    def shown(**spent: float) -> dict[str, float]:
        state.map_came(MapUpdate(0, points, gaussians, (), 0.1, spent))
        status = map_status(state, "map", 0)
        return dict(zip(status.stage_names, np.round(status.stage_seconds, 3), strict=True))

    assert shown(geometry=1.5) == {"geometry": 1.5}
    assert shown(geometry=1.75, splatting=2.0) == {"geometry": 0.25, "splatting": 2.0}
    assert shown(geometry=0.5) == {"geometry": 0.5}  # a new worker counts from nothing
    status = map_status(state, "map", 0)
    assert (status.cloud_points, status.gaussians) == (2, 1)


def test_diagnostics_say_why_a_geometry_was_chosen_and_what_was_pruned_until_a_reset() -> None:
    state = MapState()
    deltas = complete_delta(1, np.zeros(2, CLOUD_TYPE)), complete_delta(1, np.zeros(1, gaussian_type(1)))

    def told() -> dict[str, str]:
        (entry,) = diagnostics(map_status(state, "map", 0), "reconx", state.details).status
        return {pair.key: pair.value for pair in entry.values}

    assert told()["geometry"] == "none yet"
    why = "rgbd: 2 of 2 keyframes have depth and a pose"
    state.map_came(MapUpdate(0, *deltas, (), 0.1, geometry=why, pruned={"needles": 3}))
    assert (told()["geometry"], told()["pruned: needles"]) == (why, "3")
    state.reset()
    assert told()["geometry"] == "none yet"
    assert "pruned: needles" not in told()


def test_path_and_frusta_are_where_the_cameras_are() -> None:
    pose = np.array([[0.0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]])  # looks along map x
    camera = Camera(np.array([[100.0, 0, 49.5], [0, 100, 39.5], [0, 0, 1]]), pose, 100, 80)
    path = path_message("map", [(7 * 10**9, camera)])
    assert (path.poses[0].header.stamp.sec, path.poses[0].pose.position.z) == (7, 3.0)
    q = path.poses[0].pose.orientation
    np.testing.assert_allclose(np.abs([q.x, q.y, q.z, q.w]), 0.5)
    (marker,) = frusta_message("map", [camera]).markers
    ends = np.array([[p.x, p.y, p.z] for p in marker.points])
    assert ends.shape == (16, 3)
    np.testing.assert_allclose(ends[0], [1, 2, 3])
    np.testing.assert_allclose(ends[8:, 0], 1.15)  # the rim lies 0.15 m ahead, along map x


def test_keyframes_that_are_left_out_are_a_warning() -> None:
    assert left_out_warning(0) == []
    (warning,) = left_out_warning(2)
    assert warning.startswith("2 keyframes are left out")
    status = map_status(MapState(), "map", 0)
    status.warnings = [warning]
    entry = diagnostics(status, "reconx", {}).status[0]
    assert (entry.level, entry.message) == (DiagnosticStatus.WARN, warning)


def test_what_a_new_worker_takes_in_again_does_not_count_twice() -> None:
    state = MapState()
    for name in ("000000", "000001"):
        state.keyframe_came(name)
    for name in ("000000", "000001", "000002"):  # of the next worker
        state.keyframe_came(name)
    assert (state.keyframes, state.taken) == (3, 3)
    state.reset()
    state.keyframe_came("000000")
    assert (state.keyframes, state.taken) == (1, 4)
