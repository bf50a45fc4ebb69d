"""Submaps: who joins which, how corrections move them, and what rests on disk."""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.errors import MapError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.config import MappingConfig
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.submaps import Submaps
from reconx_ros.sources.rigid import matrix_from_pose

WIDTH, HEIGHT, FOCAL = 64, 48, 60.0
FAST = {"splatting": {"max_gaussians": 20_000, "steps": 10, "sh_degree": 1}}


def camera(x: float, y: float = 0.0) -> Camera:
    pose = np.eye(4)
    pose[:2, 3] = x, y
    k = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return Camera(k, pose, WIDTH, HEIGHT)


def keyframe(name: str, x: float) -> Keyframe:
    """A view of a wall 2 m ahead, with a picture of its own."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    image = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    return Keyframe(name, int(1e9 * x), image, camera(x), np.full((HEIGHT, WIDTH), 2.0, np.float32))


def mapper(**mapping: float) -> IncrementalMapper:
    return IncrementalMapper(load_config("fast", None, {**FAST, "mapping": mapping}))


def turn(degrees: float, x: float, y: float, z: float) -> np.ndarray:
    half = np.radians(degrees) / 2
    return matrix_from_pose(np.array([x, y, z]), np.array([0, np.sin(half), 0, np.cos(half)]))


def test_keyframes_group_by_place_number_and_path() -> None:
    groups = Submaps(MappingConfig(submap_keyframes=3, submap_radius=2.0, rejoin_path=14.0))
    numbers = [groups.assign(str(i), camera(x)).number for i, x in enumerate([0, 1, 1.5, 1.8, 2, 9, 2.5])]
    # Three fill the first, the next opens the second, far away the third; back at once: the second.
    assert numbers == [1, 1, 1, 2, 2, 3, 2]
    groups.assign("away", camera(30))
    assert groups.assign("back", camera(9)).number == 5  # too long a path since the third


def test_a_correction_is_spoken_for_by_the_middle_and_by_the_newest_of_the_growing_one() -> None:
    groups = Submaps(MappingConfig(submap_keyframes=3))
    names = [str(i) for i in range(5)]
    before = {name: camera(0.1 * i).world_from_camera for i, name in enumerate(names)}
    for i, name in enumerate(names):
        groups.assign(name, camera(0.1 * i))
    after = {name: turn(0, 0.01 * i, 0, 0) @ before[name] for i, name in enumerate(names)}
    motions = groups.motions(before, after)
    assert motions[1][0, 3] == pytest.approx(0.01)  # keyframe 1 of 0, 1, 2
    assert motions[2][0, 3] == pytest.approx(0.04)  # keyframe 4, the newest


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=40))
def test_bounds_hold_on_any_path(path: list[tuple[float, float]]) -> None:
    config = MappingConfig(submap_keyframes=4, submap_radius=5, max_active=3, active_radius=15)
    groups = Submaps(config)
    for i, (x, y) in enumerate(path):
        joined = groups.assign(str(i), camera(x, y))
        assert joined.number in groups.active()
        assert len(groups.active()) <= 3
    for submap in groups.all.values():
        assert 1 <= len(submap.names) <= 4


def test_a_correction_moves_points_gaussians_views_and_pictures_with_each_submap() -> None:
    made = mapper(submap_keyframes=1)
    for index in range(2):
        made.add(keyframe(str(index), 4.0 * index))  # the two see different parts of the wall
    made.refine(0.3)
    before = made.snapshot()
    assert before is not None
    motion = turn(10, 0.5, 0.2, -0.3)
    assert made.correct({"1": motion @ before.keyframes[1].camera.world_from_camera, "?": motion}) == 1
    after = made.snapshot()
    assert after is not None
    mine = before.cloud.points[:, 0] > 2
    moved = before.cloud.points[mine] @ motion[:3, :3].T + motion[:3, 3]
    np.testing.assert_allclose(after.cloud.points[: (~mine).sum()], before.cloud.points[~mine], atol=1e-5)
    found = after.cloud.points[(~mine).sum() :]
    # Points that meet in one voxel become one: each moved point has one within half a voxel's diagonal.
    gap = np.linalg.norm(moved[:, None] - found[None], axis=2).min(axis=1)
    assert gap.max() < made.config.geometry.fusion.voxel_size
    assert np.median(gap) < 1e-4
    # What the moved camera sees is what it saw.
    from reconx_ros.splatting.rasterize import render_view

    for view in range(2):
        old, _, _ = render_view(before.gaussians, before.keyframes[view].camera)
        new, _, _ = render_view(after.gaussians, after.keyframes[view].camera)
        assert np.abs(old - new).mean() < 2e-3
    np.testing.assert_allclose(after.appearance.centres[1], (motion @ [4, 0, 0, 1])[:3], atol=1e-5)
    assert made.refine(0.1) is not None


def test_far_submaps_rest_on_disk_come_back_corrected_and_are_saved(tmp_path: Path) -> None:
    config = load_config("fast", None, {**FAST, "mapping": {"submap_radius": 1.0, "active_radius": 6.0}})
    made = IncrementalMapper(config, tmp_path / "submaps")
    stay = IncrementalMapper(load_config("fast", None, FAST))
    for index, x in enumerate((0.0, 0.3, 10.0, 20.0)):
        made.add(keyframe(str(index), x))
        stay.add(keyframe(str(index), x))
    assert made.submaps == (3, 2)
    assert len(list((tmp_path / "submaps").iterdir())) == 2
    near, whole, reference = made.snapshot(whole=False), made.snapshot(), stay.snapshot()
    assert near is not None and whole is not None and reference is not None
    assert [k.name for k in near.keyframes] == ["3"]
    assert [k.name for k in whole.keyframes] == ["0", "1", "2", "3"]
    assert len(near.cloud) < 0.5 * len(whole.cloud)
    np.testing.assert_allclose(
        np.sort(whole.cloud.points, axis=0), np.sort(reference.cloud.points, axis=0), atol=1e-4
    )
    assert len(whole.gaussians) == len(reference.gaussians)
    assert len(whole.appearance.centres) == 4

    lift = turn(0, 0, 0.5, 0)
    made.correct(
        {
            "0": lift @ whole.keyframes[0].camera.world_from_camera,
            "1": lift @ whole.keyframes[1].camera.world_from_camera,
        }
    )
    ids_before = made.ids[1]
    made.add(keyframe("4", 0.6))  # back where it began
    back = made.snapshot(whole=False)
    assert back is not None
    names = {k.name: k for k in back.keyframes}
    assert {"0", "1", "4"} <= set(names) and "3" not in names
    assert names["0"].camera.centre[1] == pytest.approx(0.5)
    old = back.cloud.points[back.cloud.points[:, 0] < -0.6]  # which keyframe 4 cannot see
    assert old[:, 1].mean() == pytest.approx(0.5, abs=0.05)
    assert len(np.unique(made.ids[1])) == len(made.ids[1]) == len(back.gaussians)
    assert not set(ids_before) & set(made.ids[1])
    assert made.refine(0.1) is not None


def test_ids_are_for_life() -> None:
    made = mapper()
    made.add(keyframe("0", 0.0))
    first = made.snapshot()
    assert first is not None
    points, gaussians = made.ids
    made.add(keyframe("1", 0.5))
    made.refine(0.2)
    second = made.snapshot()
    assert second is not None
    for old, new, before, after, reach in (
        (points, made.ids[0], first.cloud.points, second.cloud.points, 0.03),
        (gaussians, made.ids[1], first.gaussians.means, second.gaussians.means, 0.1),
    ):
        common, here, there = np.intersect1d(old, new, return_indices=True)
        assert len(common) > 0.9 * len(old)
        assert np.linalg.norm(before[here] - after[there], axis=1).max() < reach


def test_a_box_is_cleared_in_memory_and_on_disk(tmp_path: Path) -> None:
    config = load_config("fast", None, {**FAST, "mapping": {"submap_radius": 1.0, "active_radius": 6.0}})
    made = IncrementalMapper(config, tmp_path / "submaps")
    for index, x in enumerate((0.0, 10.0)):
        made.add(keyframe(str(index), x))
    low, high = np.array([-0.5, -9, 0]), np.array([10.5, 9, 9])
    before = made.snapshot()
    removed = made.clear_box(low, high)
    after = made.snapshot()
    assert before is not None and after is not None

    def inside(points: np.ndarray) -> int:
        return int(((points >= low) & (points <= high)).all(axis=1).sum())

    assert removed == inside(before.cloud.points) + inside(before.gaussians.means) > 100
    assert inside(after.cloud.points) == inside(after.gaussians.means) == 0
    assert made.submaps == (2, 1)
    everything = np.full(3, 99.0)
    made.clear_box(-everything, everything)
    nothing = made.snapshot()
    assert nothing is not None and len(nothing.gaussians) == len(nothing.cloud) == 0
    made.add(keyframe("2", 10.2))
    again = made.snapshot(whole=False)
    assert again is not None and len(again.gaussians) > 100


def test_a_full_disk_leaves_the_submap_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    config = load_config("fast", None, {**FAST, "mapping": {"submap_radius": 1.0, "active_radius": 6.0}})
    made = IncrementalMapper(config, blocked / "submaps")
    made.add(keyframe("0", 0.0))
    with pytest.raises(MapError, match="submap 1 cannot be put to disk"):
        made.add(keyframe("1", 10.0))
    result = made.snapshot()
    assert result is not None
    assert {k.name for k in result.keyframes} == {"0", "1"}


def test_memory_stays_bounded_on_a_long_way() -> None:
    made = mapper(submap_keyframes=2, submap_radius=1.0, max_active=2, active_radius=5.0)
    sizes = []
    for index in range(30):
        made.add(replace(keyframe(str(index), 0.8 * index), stamp_ns=index))
        near = made.snapshot(whole=False)
        assert near is not None
        sizes.append((len(near.cloud), len(near.gaussians), len(near.keyframes)))
    assert max(sizes[15:]) <= tuple(1.05 * n for n in max(sizes[:15]))
    whole = made.snapshot()
    assert whole is not None
    assert len(whole.keyframes) == 30


def test_a_place_that_is_seen_again_and_again_does_not_grow() -> None:
    made = mapper(submap_keyframes=4, submap_radius=1.5, rejoin_path=2.0)
    places = np.arange(0.0, 6.0, 0.5)
    sizes, count = [], 0
    for lap in range(6):
        for x in places if lap % 2 == 0 else places[::-1]:
            made.add(keyframe(f"{count}", float(x)))
            count += 1
        near = made.snapshot(whole=False)
        assert near is not None
        sizes.append((len(near.keyframes), made.submaps[0], len(near.cloud), len(near.gaussians)))
    assert sizes[0][0] == len(places)
    assert max(keyframes for keyframes, *_ in sizes) <= len(places) + 8  # those at the turn are not old yet
    assert max(submaps for _, submaps, *_ in sizes) <= sizes[1][1]
    assert sizes[-1][2] == pytest.approx(sizes[0][2], rel=0.01)  # no point went with a view
    assert sizes[-1][3] >= 0.9 * sizes[0][3]
    # All that is left belongs to a submap that still moves.
    before, lift = made.snapshot(), turn(0, 0, 0.5, 0)
    assert before is not None
    made.correct({k.name: lift @ k.camera.world_from_camera for k in before.keyframes})
    after = made.snapshot()
    assert after is not None
    np.testing.assert_allclose(
        after.gaussians.means, before.gaussians.means + np.float32([0, 0.5, 0]), atol=1e-4
    )
    rise = after.cloud.points[:, 1].mean() - before.cloud.points[:, 1].mean()
    assert rise == pytest.approx(0.5, abs=0.01)
    assert made.refine(0.1) is not None
