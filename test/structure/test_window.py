import numpy as np
import pytest

from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.plan import plan_trajectory
from reconx_ros.structure.scene import Scene
from reconx_ros.structure.trajectory import Trajectory
from reconx_ros.structure.window import Turn, best_turn, filmed

from .planning import Panel, camera, film, wall

ROOM = [
    Panel(2, 2, (-2, -1, -2), (2, 1, 2), -1),
    Panel(2, -2, (-2, -1, -2), (2, 1, 2), 1),
    Panel(0, 2, (-2, -1, -2), (2, 1, 2), -1),
    Panel(0, -2, (-2, -1, -2), (2, 1, 2), 1),
]
"""Four walls without floor and ceiling."""


def window(yaws: list[float], count: int = 13) -> Trajectory:
    keyframes, cloud = film(ROOM, [camera(yaw=yaw) for yaw in yaws])
    return plan_trajectory(keyframes, count, cloud, PlanConfig(trajectory="window"))


def test_inputs_all_around_give_a_full_turn_that_closes() -> None:
    plan = window([0, 55, 110, 165, 220, 275])
    (clip,) = plan.clips
    assert (clip.kind, len(plan)) == ("window", 13)
    assert clip.anchors[0] is not None or clip.anchors[1] is None
    axes = np.stack([each.world_from_camera[:3, 2] for each in plan.cameras])
    assert np.allclose(axes[0], axes[-1])
    steps = np.degrees(np.arccos(np.clip((axes[1:] * axes[:-1]).sum(axis=1), -1, 1)))
    assert np.allclose(steps, 30)
    assert np.allclose(axes[:, 1], 0, atol=1e-9)  # the horizon stays level


def test_one_view_is_turned_from_as_far_as_it_reaches_both_ways() -> None:
    plan = window([0])
    views, _ = film(ROOM, [camera()])
    assert len(plan) == 13
    yaw = [np.degrees(np.arctan2(*each.world_from_camera[[0, 2], 2])) for each in plan.cameras]
    assert np.all(np.diff(yaw) > 0)
    # A view 67 degrees wide may miss 60 %; without floor and ceiling that is soon reached.
    assert 10 <= -yaw[0] <= 45
    assert 10 <= yaw[-1] <= 45
    assert max(clip.unseen.max() for clip in plan.clips) <= 0.62
    anchored = [clip for clip in plan.clips if clip.anchors != (None, None)]
    for clip in anchored:
        if clip.anchors[1] == 0:
            assert np.array_equal(plan.cameras[clip.stop - 1].centre, views[0].camera.centre)
    assert sum(len(clip) for clip in plan.clips) == len(plan) + len(plan.clips) - 1


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_a_turn_at_a_keyframe_is_two_clips_that_share_its_frame(count: int) -> None:
    here = camera(yaw=10)
    turn = Turn(here, 3, np.array([0.0, 1, 0]), np.radians(-40), np.radians(20), 1)
    parts = filmed(turn, count)
    cameras = [*parts[0][0], *(parts[1][0][1:] if len(parts) > 1 else [])]
    assert len(cameras) == count
    if len(parts) == 2:
        assert [ends for _, ends in parts] == [(None, 3), (3, None)]
        assert parts[0][0][-1] is here
        assert parts[1][0][0] is here
    yaws = [np.degrees(np.arctan2(*each.world_from_camera[[0, 2], 2])) for each in cameras]
    assert np.all(np.diff(yaws) > 0)
    assert {round(yaws[0]), round(yaws[-1])} <= {-30, 10, 30}


def test_a_turn_at_a_free_place_is_one_clip_without_anchors() -> None:
    turn = Turn(camera(), None, np.array([0.0, 1, 0]), np.radians(-40), np.radians(20), 1)
    ((cameras, ends),) = filmed(turn, 7)
    assert (len(cameras), ends) == (7, (None, None))


def test_places_ahead_are_tried_only_in_free_space() -> None:
    keyframes, cloud = film([wall(0.5, (0.6, 0.6)), wall(3)], [camera(), camera(yaw=40)])
    scene = Scene.of(dict(enumerate(each.camera for each in keyframes)), cloud, PlanConfig())
    assert scene is not None
    turn = best_turn(scene)
    assert turn is not None
    assert scene.space.free(turn.camera.centre[None]).all()
