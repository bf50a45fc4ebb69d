"""Training clips: one seed one clip, truth that agrees with exact references, errors that do not."""

import numpy as np
import pytest
import torch

from reconx_ros.simulation.camera_errors import NO_ERRORS, draw_errors, spoil_depth, spoil_pose
from reconx_ros.simulation.clips import Clip, ClipConfig, sample_clip, sample_clips
from reconx_ros.simulation.looks import repainted
from reconx_ros.simulation.stages import clutter, corridor, street
from reconx_ros.simulation.viewpoints import between, hole_share, turned
from reconx_ros.structure.conditioning import ConditioningRender, warp_references

SMALL = ClipConfig(size=(48, 64), frames=4, clips=1)
CLEAN = ClipConfig(size=(96, 128), frames=4, clips=1, errors=False)


def warped(clip: Clip) -> ConditioningRender:
    k = torch.from_numpy(clip.intrinsics)
    frames, count = len(clip.target_color), len(clip.color)
    return warp_references(
        torch.from_numpy(clip.color).permute(0, 3, 1, 2)[None],
        torch.from_numpy(clip.depth)[None, :, None],
        k.expand(1, count, 3, 3),
        torch.from_numpy(clip.world_from_camera)[None],
        k.expand(1, frames, 3, 3),
        torch.from_numpy(clip.target_world_from_camera)[None],
        clip.color.shape[1:3],
    )


@pytest.fixture(scope="module")
def clean() -> Clip:
    return sample_clip(2, CLEAN)


def test_the_same_seed_gives_the_same_clip() -> None:
    first, second, other = (sample_clip(seed, SMALL) for seed in (12, 12, 13))
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert np.abs(first.color - other.color).mean() > 0.01


def test_one_scene_gives_different_clips() -> None:
    config = ClipConfig(size=(48, 64), frames=1, clips=2)
    first, second = sample_clips(2, config)
    assert np.abs(first.world_from_camera - second.world_from_camera).max() > 0.05


def test_without_errors_what_is_warped_is_the_truth(clean: Clip) -> None:
    render = warped(clean)
    truth = torch.from_numpy(clean.target_color).permute(0, 3, 1, 2)[:, None]
    depth = torch.from_numpy(clean.target_depth)[:, None, None]
    error = ((render.color[0] - truth).abs() * render.coverage[0]).mean(2, keepdim=True)
    covered = render.coverage[0] > 0
    assert covered.float().mean() > 0.3
    # Bilinear sampling and magnification blur texture; a wrong pose would give 0.1 and more.
    assert error[covered].median() < 0.01
    assert error[covered].mean() < 0.03
    relative = ((render.depth[0] - depth).abs() / depth)[covered]
    assert relative.nanmedian() < 1e-3


def test_targets_between_are_mostly_seen_and_those_beyond_mostly_not(clean: Clip) -> None:
    holes = 1 - warped(clean).coverage[0].amax(1).mean((1, 2, 3))
    assert clean.extrapolated.tolist() == [False, True, True, True]
    assert holes[0] < 0.2
    assert all(0.1 < share < 0.85 for share in holes[1:].tolist())


def test_errors_spoil_colour_depth_and_pose_but_only_so_much() -> None:
    clean = sample_clip(2, ClipConfig(size=(96, 128), frames=1, clips=1, errors=False))
    spoiled = sample_clip(2, ClipConfig(size=(96, 128), frames=1, clips=1))
    assert np.isfinite(spoiled.depth).mean() < np.isfinite(clean.depth).mean()
    assert 0.001 < np.abs(spoiled.color - clean.color).mean() < 0.15
    moved = np.abs(spoiled.world_from_camera - clean.world_from_camera)
    assert 0 < moved.max() < 0.05


def test_a_floor_seen_at_a_low_angle_keeps_its_depth() -> None:
    rows = np.linspace(1.0, 6.0, 48)[:, None].repeat(64, 1)
    floor = (2.0 * 6.0 / rows).astype(np.float32)
    step = np.where(np.arange(64) < 32, 2.0, 3.0)[None].repeat(48, 0).astype(np.float32)
    errors = draw_errors(np.random.default_rng(1), 2)
    bare = type(errors)(**{**vars(NO_ERRORS), "edge": 1})
    random = np.random.default_rng(0)
    ones = np.ones_like(floor)
    assert np.isfinite(spoil_depth(floor, ones, bare, random))[1:-1].all()
    lost = np.isnan(spoil_depth(step, ones, bare, random))
    assert lost[:, 31:33].all()
    assert not lost[:, :30].any()


def test_no_errors_change_nothing() -> None:
    random = np.random.default_rng(0)
    pose = turned(0.1, 0.2, 0.3)
    np.testing.assert_array_equal(spoil_pose(pose, NO_ERRORS, random), pose)


def test_half_way_between_two_cameras() -> None:
    second = turned(0.0, 0.4, 0.0)
    second[:3, 3] = (1, 0, 0)
    random = np.random.default_rng(0)
    pose = between(np.stack([np.eye(4), second]), 0.5, random)
    np.testing.assert_allclose(pose[:3, :3], turned(0.0, 0.2, 0.0)[:3, :3], atol=1e-12)
    assert np.abs(pose[:3, 3] - (0.5, 0, 0)).max() < 0.3


def test_hole_share_of_a_camera_that_turned_away() -> None:
    k = np.array([[64.0, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])
    depth = np.full((48, 64), 2.0, np.float32)
    poses = np.tile(np.eye(4), (2, 1, 1))
    same = hole_share(poses, [depth, depth], k, np.eye(4), (48, 64))
    half = hole_share(poses, [depth, depth], k, turned(0, np.arctan(0.5), 0), (48, 64))
    away = hole_share(poses, [depth, depth], k, turned(0, 1.5, 0), (48, 64))
    assert same == 0.0
    # Tangents −0.5…0.5 are seen from −0.5…0.5 turned by 26.6°: half the image, and less at its far side.
    assert 0.45 < half < 0.65
    assert away == 1.0


@pytest.mark.parametrize("kind", [clutter, corridor, street])
def test_scenes_of_every_kind_can_be_filmed(kind: object) -> None:
    place = kind(3)  # type: ignore[operator]
    assert place.scene.lightmap.texels.isfinite().all()
    assert place.scene.lightmap.texels.mean() > 0.05
    changed = repainted(place.scene, 1, 1.0)
    assert not torch.equal(changed.materials.pattern, place.scene.materials.pattern)
    assert repainted(place.scene, 1, 0.0) is place.scene
