import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.select import select_views
from reconx_ros.progress import Silent
from reconx_ros.sources.open import open_source
from reconx_ros.structure.choose import lengths_of
from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.plan import plan_trajectory
from reconx_ros.structure.trajectory import Clip, Trajectory

from .planning import Panel, camera, cloud, cloud_of, film, keyframe, shot, wall

BETWEEN = PlanConfig(trajectory="between")
UNCERTAIN = PlanConfig(trajectory="uncertain")
ALL = [BETWEEN, UNCERTAIN, PlanConfig(trajectory="window")]
NOTHING = cloud(np.zeros((0, 3)), np.zeros((0, 3)))


def check(plan: Trajectory, cameras: list[Camera]) -> None:
    """What holds for every trajectory: frames add up, anchors are exact, rotations are rotations."""
    covered = np.zeros(len(plan), bool)
    assert plan.taken == {at for at, each in enumerate(plan.cameras) if any(each is c for c in cameras)}
    for clip in plan.clips:
        covered[clip.start : clip.stop] = True
        assert len(clip) == len(clip.hopes) == len(clip.unseen) == len(clip.hoped)
        assert len(clip) >= 2
        assert ((clip.hopes >= 0) & (clip.hopes <= 1)).all()
        for anchor, at in zip(clip.anchors, (clip.start, clip.stop - 1), strict=True):
            if anchor is not None:
                assert plan.cameras[at] is cameras[anchor]
    assert covered.all()
    assert plan.anchors == tuple(clip.anchors for clip in plan.clips)
    for each in plan.cameras:
        rotation = each.world_from_camera[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


def test_clips_between_share_the_keyframes_and_pass_them_smoothly() -> None:
    cameras = [camera(), camera(0.5, yaw=5), camera(1, 0.2, yaw=-5)]
    keyframes, known = film([wall(2)], cameras)
    plan = plan_trajectory(keyframes, 17, known, BETWEEN)
    check(plan, cameras)
    assert plan.anchors == ((0, 1), (1, 2))
    assert [(clip.kind, clip.start, clip.stop) for clip in plan.clips] == (
        [("interpolated", 0, 9), ("interpolated", 8, 17)]
    )
    centres = np.stack([each.centre for each in plan.cameras])
    change = np.linalg.norm(np.diff(centres, n=2, axis=0), axis=1)
    assert change.max() < 15 * 0.54 / 8**2
    assert change[7] < change.max() + 1e-12  # nothing special at the shared frame


def test_frames_are_shared_out_and_never_more_than_asked_for() -> None:
    cameras = [camera(0.15 * x) for x in range(8)]
    keyframes, known = film([wall(2)], cameras)
    for count in (2, 3, 8, 16, 40):
        plan = plan_trajectory(keyframes, count, known, BETWEEN)
        check(plan, cameras)
        assert len(plan) <= count
        assert len(plan.clips) == min(7, (count - 1) // 2)
    assert len(plan) == 40


def test_unposed_views_and_views_that_share_nothing_get_no_clip() -> None:
    cameras = [camera(-4), camera(), camera(4), camera(4.2), camera(4.2, yaw=180)]
    keyframes, known = film([wall(2)], cameras[:4])
    keyframes = [keyframe(each, posed=at != 1) for at, each in enumerate(cameras)]
    plan = plan_trajectory(keyframes, 12, known, BETWEEN)
    assert plan.anchors == ((2, 3),)
    assert any("no clip between keyframes 0 and 2: they share" in note for note in plan.notes)


def test_it_goes_where_it_sees_behind_the_box() -> None:
    # All of the wall is known but what the box hides: there is nothing else to learn.
    planes, here = [wall(1.2, (0.3, 0.3)), wall(2.4, (20, 20))], camera()
    around = [camera(x, y, focal=48, width=64) for x in range(-12, 13, 3) for y in range(-8, 9, 2)]
    known = cloud_of([planes[1]], around)
    shadow = (np.abs(known.points[:, :2]) < 0.6).all(axis=1)
    box = cloud_of([planes[0]], [here])
    points = np.concatenate([known.points[~shadow], box.points])
    normals = np.concatenate([known.normals[~shadow], box.normals])
    config = PlanConfig(trajectory="uncertain", least_unseen=0.0, venture=0.3)
    plan = plan_trajectory([keyframe(here)], 8, cloud(points, normals), config)
    check(plan, [here])
    assert plan.clips
    for clip in plan.clips:
        last = plan.cameras[clip.stop - 1].resized(64, 48)
        depth, which = shot(planes, last)
        there = last.unproject(depth)
        behind = (which == 1) & (np.abs(there[..., :2]) < 0.6).all(axis=-1)
        hoped = clip.hopes[-1] > 0
        assert np.count_nonzero(behind) > 20
        assert np.count_nonzero(hoped & behind) > 0.4 * np.count_nonzero(behind)
        assert np.count_nonzero(hoped & behind) > 0.7 * np.count_nonzero(hoped)


def test_a_corridor_is_never_left() -> None:
    half = 0.6
    corridor = [
        Panel(0, half, (0, -1, -3), (0, 1, 8), -1),
        Panel(0, -half, (0, -1, -3), (0, 1, 8), 1),
        Panel(1, 1, (-half, 0, -3), (half, 0, 8), -1),
        Panel(1, -1, (-half, 0, -3), (half, 0, 8), 1),
        wall(8, (half, 1)),
    ]
    cameras = [camera(0.1), camera(-0.2, z=0.6, yaw=15), camera(0.2, z=1.2, yaw=-20)]
    keyframes, known = film(corridor, cameras)
    for config in ALL:
        plan = plan_trajectory(keyframes, 24, known, config)
        check(plan, cameras)
        assert len(plan) > 2
        assert max(abs(each.centre[0]) for each in plan.cameras) < half - 0.1
        assert max(abs(each.centre[1]) for each in plan.cameras) < 1 - 0.1


def test_a_wall_between_two_keyframes_drops_their_clip_and_says_why() -> None:
    # A wall 2 m ahead that ends 2.2 m to the right; past its end both see the wall behind it.
    planes = [Panel(2, 2, (-9, -9, 0), (2.2, 9, 0)), wall(6, (20, 9))]
    keyframes, known = film(planes, [camera(yaw=45), camera(z=3.5, yaw=45), camera()])
    plan = plan_trajectory(keyframes[:2], 9, known, BETWEEN)
    assert len(plan) == 0
    assert any("clip between keyframes 0 and 1 left out: passes within" in note for note in plan.notes)


def test_clips_learn_different_things() -> None:
    keyframes, known = film([wall(2)], [camera()])
    plan = plan_trajectory(keyframes, 16, known, PlanConfig(trajectory="uncertain", clip=4))
    check(plan, [keyframes[0].camera])
    assert [clip.kind for clip in plan.clips] == ["extrapolated"] * 4
    assert all(clip.anchors == (0, None) for clip in plan.clips)
    ends = np.stack([plan.cameras[clip.stop - 1].world_from_camera[:3, 2] for clip in plan.clips])
    angles = np.degrees(np.arccos(np.clip(ends @ ends.T, -1, 1)))[np.triu_indices(4, 1)]
    assert angles.min() > 15
    assert all(0.1 <= clip.unseen[-1] <= 0.6 for clip in plan.clips)
    assert all(clip.hoped[-1] > 0.08 for clip in plan.clips)


def test_a_way_on_which_little_is_known_is_left_to_those_who_ask_for_it() -> None:
    # Both see the same small panel from either side of the room; half-way most of the view is unknown.
    cameras = [camera(-1.5, yaw=36.87), camera(1.5, yaw=-36.87)]
    keyframes, known = film([wall(2, (0.25, 0.25))], cameras)
    assert plan_trajectory(keyframes, 5, known, BETWEEN).anchors == ((0, 1),)
    plan = plan_trajectory(keyframes, 5, known, UNCERTAIN)
    assert len(plan) == 0
    assert any("on the way 9" in note for note in plan.notes)


def test_clips_too_short_to_go_between_keyframes_are_said_to_be() -> None:
    cameras = [camera(0.4 * x) for x in range(3)]
    keyframes, known = film([wall(2)], cameras)
    for clip, said in ((2, True), (3, False)):
        plan = plan_trajectory(keyframes, 12, known, PlanConfig(clip=clip))
        assert any("no clips between keyframes: they take 3 frames" in note for note in plan.notes) == said
        assert not said or all(each.kind == "extrapolated" for each in plan.clips)


def test_one_size_in_a_clip() -> None:
    cameras = [camera(), camera(0.3, width=80, focal=60)]
    keyframes, known = film([wall(2)], cameras)
    plan = plan_trajectory(keyframes, 8, known, BETWEEN)
    assert len(plan) == 0
    assert any("differ in size" in note for note in plan.notes)
    for clip in plan_trajectory(keyframes, 16, known, UNCERTAIN).clips:
        assert clip.kind == "extrapolated"


@pytest.mark.parametrize("config", ALL)
def test_what_cannot_be_planned_is_empty_and_says_why(config: PlanConfig) -> None:
    keyframes, known = film([wall(2)], [camera(), camera(0.1)])
    assert len(plan_trajectory(keyframes, 0, known, config)) == 0
    for views, points, why in [
        (keyframes, NOTHING, "sees any of 0 points"),
        ([], known, "no keyframe has a pose"),
        ([keyframe(camera(), posed=False)], known, "no keyframe has a pose"),
        ([keyframe(camera(yaw=180))], known, "no keyframe sees any"),
    ]:
        plan = plan_trajectory(views, 8, points, config)
        assert len(plan) == len(plan.clips) == 0
        assert any(why in note for note in plan.notes)


@pytest.mark.parametrize("config", ALL)
def test_identical_cameras_are_one_view(config: PlanConfig) -> None:
    keyframes, known = film([wall(2)], [camera()] * 3)
    plan = plan_trajectory(keyframes, 9, known, config)
    check(plan, [each.camera for each in keyframes])
    assert all(np.isfinite(each.world_from_camera).all() for each in plan.cameras)
    if config.trajectory == "uncertain":
        assert {clip.anchors for clip in plan.clips} == {(0, None)}


@pytest.mark.parametrize("count", [1, -3])
def test_a_clip_needs_its_two_ends(count: int) -> None:
    keyframes, known = film([wall(2)], [camera(), camera(0.1)])
    with pytest.raises(SynthesisError, match="0 or at least 2"):
        plan_trajectory(keyframes, count, known)


def test_a_real_recording(redkitchen_bag: Path) -> None:
    config = load_config("fast")
    with open_source(redkitchen_bag, config.source) as source:
        frames = select_views(source.frames(), range(0, 80, 5), 160)
    inputs = frames[::4]
    known: PointCloud = fuse(
        RgbdGeometry(config.geometry.rgbd).estimate(inputs, Silent()), config.geometry.fusion
    )
    for plan_config in ALL:
        plan = plan_trajectory(inputs, 16, known, plan_config)
        check(plan, [each.camera for each in inputs])
        assert len(plan) > 8
        # No frame of the recording sees a surface before a planned camera in its image.
        for frame in frames:
            assert frame.depth is not None
            pixels, depth = frame.camera.project(np.stack([each.centre for each in plan.cameras]))
            for (x, y), far in zip(np.rint(pixels).astype(int), depth, strict=True):
                if far > 0.2 and 0 <= x < frame.camera.width and 0 <= y < frame.camera.height:
                    there = frame.depth[y, x]
                    assert np.isnan(there) or there > far
    assert len(plan_trajectory(frames, 9, known, BETWEEN)) <= 9  # of 15 gaps those that hope for most
    uncertain = plan_trajectory(inputs, 16, known, UNCERTAIN)
    between = plan_trajectory(inputs, 16, known, BETWEEN)
    share = [np.mean(np.concatenate([clip.hoped for clip in plan.clips])) for plan in (uncertain, between)]
    assert share[0] > 1.2 * share[1]


def test_a_trajectory_says_what_it_hopes_for_in_a_report() -> None:
    clip = Clip(
        "extrapolated", 0, 2, (3, None), np.full((2, 4, 4), 0.5, np.float32), np.float32([0.2, 0.4])
    )
    report = Trajectory((camera(), camera()), (clip,), ("a note",)).json()
    assert report["notes"] == ["a note"]
    row = {"kind": "extrapolated", "frames": 2, "anchors": [3, None], "hoped": 1.0, "unseen": 0.3}
    assert report["clips"] == [row]
    assert json.loads(json.dumps(report)) == report


@given(st.integers(2, 60), st.integers(2, 20))
def test_every_clip_has_its_two_ends(count: int, clip: int) -> None:
    lengths = lengths_of(count, clip)
    assert sum(lengths) == count
    assert min(lengths) >= 2
    assert max(lengths) - min(lengths) <= 1
