"""The distance field against analytic scenes: a wall, and a ball in a room."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ball_room import BALL, HALF, HEIGHT, RADIUS, WIDTH, ball_in_a_room, cloud_of, keyframe, looking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.config import DistanceFieldConfig
from reconx_ros.mapping.distance_field import FREE, OCCUPIED, UNKNOWN, DistanceField, distance_field
from reconx_ros.mapping.field_file import read_field, write_field

VOXEL = 0.05
CONFIG = DistanceFieldConfig(voxel_size=VOXEL)


@pytest.fixture(scope="module")
def room() -> tuple[list[Keyframe], DistanceField]:
    eyes = [(x, y, z) for x in (-1.2, 1.2) for y in (-1.2, 1.2) for z in (-1.2, 1.2)]
    eyes += [(-1.3, 0, 0.1), (1.3, 0, 0.1), (0, -1.3, 0.1), (0, 1.3, 0.1)]
    views = []
    for eye in eyes:
        camera = looking(eye, BALL)
        views.append(keyframe(camera, ball_in_a_room(camera)))
    return views, distance_field(cloud_of(views), views, CONFIG)


def true_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance to the nearest surface, negative in the ball and behind the walls."""
    ball = np.linalg.norm(points - BALL, axis=-1) - RADIUS
    return np.minimum(ball, (HALF - np.abs(points)).min(axis=-1))


def test_a_wall_ahead_is_as_far_as_it_is() -> None:
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    view = keyframe(camera, np.full((HEIGHT, WIDTH), 2.02))
    field = distance_field(cloud_of([view]), [view], CONFIG)
    centres = field.centres()
    free = field.occupancy == FREE
    assert free.sum() > 10_000
    np.testing.assert_allclose(field.distance[free], 2.02 - centres[free][:, 0], atol=0.3 * VOXEL)
    assert (field.occupancy[centres[..., 0] > 2.1] == UNKNOWN).all()  # behind the wall
    assert (field.distance[field.occupancy == OCCUPIED] == -np.float32(VOXEL)).all()


def test_a_ball_in_a_room_is_measured_from_outside_and_unknown_inside(
    room: tuple[list[Keyframe], DistanceField],
) -> None:
    _, field = room
    centres = field.centres()
    truth = true_distance(centres)
    free = field.occupancy == FREE
    assert free.sum() > 0.6 * (truth > VOXEL).sum()  # most of the room was looked through
    assert truth[free].min() > 0  # and nothing else: not the ball, not behind the walls
    error = field.distance[free] - truth[free]
    assert np.abs(np.median(error)) < 0.1 * VOXEL
    assert np.quantile(np.abs(error), 0.95) < 0.5 * VOXEL
    near = free & (np.linalg.norm(centres, axis=-1) < RADIUS + 0.4)  # the whole ball was seen
    assert np.abs(field.distance[near] - truth[near]).max() < 0.75 * VOXEL
    inside = np.linalg.norm(centres, axis=-1) < RADIUS - VOXEL
    assert (field.occupancy[inside] == UNKNOWN).all()
    assert np.isnan(field.distance[field.occupancy == UNKNOWN]).all()
    assert (field.distance[field.occupancy == OCCUPIED] < 0).all()


def test_distances_are_those_to_the_nearest_point(room: tuple[list[Keyframe], DistanceField]) -> None:
    views, field = room
    rng = np.random.default_rng(0)
    chosen = rng.permutation(np.argwhere(field.occupancy == FREE))[:4000]
    centres = field.origin + (chosen + 0.5) * VOXEL
    exact, _ = cKDTree(cloud_of(views).points).query(centres)
    error = field.distance[tuple(chosen.T)] - exact
    assert error.min() > -0.1 * VOXEL
    assert error.max() < 1.1 * VOXEL  # of voxels alike far, the mean point of one, not the nearest point
    assert error.mean() < 0.15 * VOXEL


def test_where_a_sensor_gave_nothing_nothing_is_free() -> None:
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    depth = np.full((HEIGHT, WIDTH), 2.02)
    depth[60:100, 80:120] = np.nan  # something black
    view = keyframe(camera, depth)
    field = distance_field(cloud_of([view]), [view], CONFIG)
    centres = field.centres()
    pixels, z = camera.project(centres)
    hidden = (np.abs(pixels - [99.5, 79.5]) < 19).all(axis=-1) & (z > 0)
    assert hidden.sum() > 500
    assert not (field.occupancy[hidden] == FREE).any()
    no_depth = replace(view, depth=None)
    blind = distance_field(cloud_of([view]), [no_depth], CONFIG)
    assert not (blind.occupancy == FREE).any()
    assert (blind.occupancy == OCCUPIED).sum() == (field.occupancy == OCCUPIED).sum()


def test_generated_and_doubtful_points_are_no_obstacle_and_nothing_is_an_error() -> None:
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    view = keyframe(camera, np.full((HEIGHT, WIDTH), 2.02))
    cloud = cloud_of([view])
    half = cloud.points[:, 1] > 0
    mixed = replace(cloud, provenance=np.where(half, GENERATED, OBSERVED).astype(np.uint8))
    field = distance_field(mixed, [view], CONFIG)
    assert field.centres()[field.occupancy == OCCUPIED][:, 1].max() < VOXEL
    doubtful = CONFIG.model_copy(update={"min_confidence": 0.95})
    with pytest.raises(MapError, match="none of 32000 points is observed with confidence"):
        distance_field(cloud, [view], doubtful)
    lonely = CONFIG.model_copy(update={"least_points": 10**6})
    with pytest.raises(MapError, match="holds 1000000 observed points"):
        distance_field(cloud, [view], lonely)


def test_a_large_map_gets_coarser_voxels_instead_of_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconx_ros.mapping.distance_field.MOST_VOXELS", 20_000)
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    view = keyframe(camera, np.full((HEIGHT, WIDTH), 4.9))
    field = distance_field(cloud_of([view]), [view], DistanceFieldConfig(voxel_size=1e-3))
    assert field.voxel_size > 0.1
    assert field.occupancy.size < 30_000


def test_a_field_is_read_back_as_it_was(tmp_path: Path, room: tuple[list[Keyframe], DistanceField]) -> None:
    write_field(tmp_path / "f.npz", room[1])
    back = read_field(tmp_path / "f.npz")
    np.testing.assert_array_equal(back.occupancy, room[1].occupancy)
    np.testing.assert_array_equal(back.distance, room[1].distance)
    np.testing.assert_array_equal(back.origin, room[1].origin)
    assert back.voxel_size == room[1].voxel_size


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("field") / "small.npz"
    box = np.zeros((2, 3, 4), np.int8)
    write_field(file, DistanceField(np.zeros(3), 0.1, box, box.astype(np.float32)))
    return file


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_damaged_file_is_one_error(
    small_file: Path, tmp_path: Path, cut: int, at: int, value: int
) -> None:
    data = bytearray(small_file.read_bytes())
    data[at % len(data)] = value
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(data[: len(data) - cut % len(data)] if cut % 2 else data)
    try:
        field = read_field(damaged)
    except MapError as err:
        assert "\n" not in str(err)
    else:
        assert field.occupancy.shape == field.distance.shape


def test_wrong_shapes_are_named(tmp_path: Path) -> None:
    box = np.zeros((2, 3, 4), np.int8)
    write_field(tmp_path / "a.npz", DistanceField(np.zeros(3), 0.1, box, np.zeros((2, 3), np.float32)))
    with pytest.raises(MapError, match=r"occupancy \(2, 3, 4\), distance \(2, 3\)"):
        read_field(tmp_path / "a.npz")
    write_field(tmp_path / "b.npz", DistanceField(np.zeros(3), 0.1, box + 7, box.astype(np.float32)))
    with pytest.raises(MapError, match="occupancy holds other values"):
        read_field(tmp_path / "b.npz")
