"""The distance field round the robot: the same as that of the whole map, where both are."""

import numpy as np
import pytest
from ball_room import HALF, HEIGHT, WIDTH, ball_in_a_room, cloud_of, keyframe, looking
from pydantic import ValidationError
from scipy.spatial import cKDTree

from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.config import DistanceFieldConfig
from reconx_ros.mapping.distance_field import FREE, OCCUPIED, UNKNOWN, distance_field
from reconx_ros.mapping.local_field import local_field

VOXEL = 0.1
CONFIG = DistanceFieldConfig(voxel_size=VOXEL, live_radius=1.0, live_height=0.7)


def views() -> list[Keyframe]:
    eyes = [(-1.3, 0.0, 0.1), (1.3, 0.0, 0.1), (0.0, -1.3, 0.1), (0.0, 1.3, -0.4)]
    cameras = [looking(eye, np.zeros(3)) for eye in eyes]
    return [keyframe(camera, ball_in_a_room(camera)) for camera in cameras]


def test_it_is_a_part_of_the_field_of_the_whole_map() -> None:
    seen = views()
    cloud = cloud_of(seen)
    whole = distance_field(cloud, seen, CONFIG)
    centre = np.array([0.43, -0.21, 0.17])
    part = local_field(cloud, seen, centre, CONFIG)
    assert part.occupancy.shape == (20, 20, 14)
    assert (np.abs(part.origin + VOXEL * np.array([10, 10, 7]) - centre) <= VOXEL).all()
    first = np.rint((part.origin - whole.origin) / VOXEL).astype(int)
    inside = tuple(slice(a, a + n) for a, n in zip(first, part.occupancy.shape, strict=True))
    np.testing.assert_array_equal(part.occupancy, whole.occupancy[inside])
    assert {FREE, OCCUPIED, UNKNOWN} == set(np.unique(part.occupancy))
    free, other = part.occupancy == FREE, whole.distance[inside]
    np.testing.assert_allclose(part.distance, other, atol=1.5 * VOXEL)  # the whole one is right to a voxel
    assert (part.distance[free] <= other[free] + 1e-4).all()  # this one is exact
    assert np.isnan(part.distance[part.occupancy == UNKNOWN]).all()


def test_obstacles_beyond_the_box_count() -> None:
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    view = keyframe(camera, np.full((HEIGHT, WIDTH), 2.04))  # a wall, out of the box
    field = local_field(cloud_of([view]), [view], camera.centre, CONFIG)
    free = field.occupancy == FREE
    assert free.sum() > 300
    assert not (field.occupancy == OCCUPIED).any()
    np.testing.assert_allclose(field.distance[free], 2.04 - field.centres()[free][:, 0], atol=0.3 * VOXEL)


def test_distances_are_to_the_nearest_observed_surface() -> None:
    seen = views()
    cloud = cloud_of(seen)
    cloud.provenance[cloud.points[:, 0] > 0.6 * HALF] = GENERATED  # what was imagined is no obstacle
    field = local_field(cloud, seen, np.zeros(3), CONFIG)
    free = field.occupancy == FREE
    true = cKDTree(cloud.points[cloud.points[:, 0] <= 0.6 * HALF]).query(field.centres()[free])[0]
    np.testing.assert_allclose(field.distance[free], true, atol=0.9 * VOXEL)


def test_without_obstacles_free_is_endlessly_far_and_without_depth_nothing_is_known() -> None:
    camera = looking((0.0, 0.0, 0.0), np.array([1.0, 0, 0]))
    view = keyframe(camera, np.full((HEIGHT, WIDTH), 2.0))
    nothing = cloud_of([keyframe(camera, np.full((HEIGHT, WIDTH), np.nan))])
    field = local_field(nothing, [view], np.zeros(3), CONFIG)
    assert np.isinf(field.distance[field.occupancy == FREE]).all()
    assert np.isnan(local_field(nothing, [], np.zeros(3), CONFIG).distance).all()


def test_a_box_that_cannot_be_is_refused_with_the_figures() -> None:
    with pytest.raises(ValidationError, match="needs a voxel_size above 0"):
        DistanceFieldConfig(live_radius=3.0)
    with pytest.raises(ValidationError, match=r"6\.0 million voxels .* more than 1 million"):
        DistanceFieldConfig(voxel_size=0.05, live_radius=5.0, live_height=3.75)
