import math
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import FusionConfig, RgbdConfig
from reconx_ros.geometry.fusion import CloudFusion, fuse, world_scale
from reconx_ros.geometry.protocol import GENERATED, OBSERVED, GeometryEstimate, PointCloud, PointMap
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.geometry.voxels import voxel_keys
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

View = tuple[Keyframe, PointMap]


def random_view(seed: int, size: int = 12, unknown: float = 0.2) -> View:
    """A view of random points about (0, 0, 2): nothing lies on a surface, everything is possible."""
    rng = np.random.default_rng(seed)
    shape = (size, size)
    points = rng.normal([0, 0, 2], 0.3, (*shape, 3)).astype(np.float32)
    normals = rng.normal(size=(*shape, 3))
    normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
    confidence = rng.uniform(1, 9, shape).astype(np.float32)
    hidden = rng.random(shape) < unknown
    points[hidden], normals[hidden], confidence[hidden] = np.nan, np.nan, 1
    normals[0] = np.nan
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    camera = Camera(
        np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1.0]]), np.eye(4), size, size
    )
    return Keyframe(str(seed), 0, image, camera), PointMap(points, normals, confidence)


def merged(views: list[View], config: FusionConfig) -> CloudFusion:
    fusion = CloudFusion(config)
    for keyframe, pointmap in views:
        fusion.merge(keyframe, pointmap)
    return fusion


def by_voxel(cloud: PointCloud, size: float) -> dict[tuple[int, ...], int]:
    cells = np.floor(cloud.points.astype(float) / size).astype(int)
    return {tuple(cell): row for row, cell in enumerate(cells.tolist())}


def reference(views: list[View], size: float) -> dict[tuple[int, ...], dict[str, NDArray[np.float64]]]:
    """The rule of the docstring, a dictionary and a loop over pixels."""
    world: dict[tuple[int, ...], list[tuple[float, NDArray[np.float64], bool]]] = {}
    for keyframe, pointmap in views:
        view: dict[tuple[int, ...], list[tuple[float, NDArray[np.float64]]]] = {}
        for index in np.ndindex(pointmap.confidence.shape):
            point = pointmap.points[index].astype(float)
            if math.isnan(point[2]):
                continue
            normal = pointmap.normals[index].astype(float)
            if math.isnan(normal[0]):
                normal = keyframe.camera.centre - point
                normal /= np.linalg.norm(normal)
            weight = max(float(pointmap.confidence[index]) - 1, 1e-3)
            value = np.concatenate([point, keyframe.image[index], normal])
            view.setdefault(tuple(math.floor(x / size) for x in point), []).append((weight, value))
        for cell, samples in view.items():
            weights = np.array([w for w, _ in samples])
            mean = np.average([v for _, v in samples], axis=0, weights=weights)
            dependent = pointmap.shared or pointmap.deviation is not None
            world.setdefault(cell, []).append((float(weights.mean()), mean, dependent))
    voxels = {}
    for cell, seen in world.items():
        together = [w for w, _, dependent in seen if dependent]
        measurements = [w for w, _, dependent in seen if not dependent]
        measurements += [sum(together) / len(together)] if together else []
        voxels[cell] = {
            "value": np.average([v for _, v, _ in seen], axis=0, weights=[w for w, _, _ in seen]),
            "confidence": np.array(1 + sum(measurements)),
            "views": np.array(len(seen)),
        }
    return voxels


KINDS: dict[str, dict[str, float | bool]] = {
    "sensor": {},
    "stereo": {"deviation": 0.01},
    "sparse": {"shared": True},
}
"""What C of a view may be: an inverse variance, odds, or resting on what other views say too."""


def view_of_kind(seed: int, kind: str) -> View:
    keyframe, pointmap = random_view(seed)
    return keyframe, replace(pointmap, **KINDS[kind])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(list(KINDS))), min_size=1, max_size=5),
    st.sampled_from([0.05, 0.2, 1.0]),
)
def test_merging_equals_the_dictionary_reference(kinds: list[tuple[int, str]], size: float) -> None:
    views = [view_of_kind(*kind) for kind in kinds]
    cloud = merged(views, FusionConfig(voxel_size=size)).cloud()
    expected = reference(views, size)
    assert len(cloud) == len(expected)
    rows = by_voxel(cloud, size)
    for cell, voxel in expected.items():
        row = rows[cell]
        value = voxel["value"]
        assert np.allclose(cloud.points[row], value[:3], atol=1e-5)
        assert np.abs(cloud.colors[row] - value[3:6]).max() <= 0.5 + 1e-6
        assert np.allclose(cloud.normals[row], value[6:] / np.linalg.norm(value[6:]), atol=1e-4)
        assert cloud.confidence[row] == pytest.approx(float(voxel["confidence"]), rel=1e-5)
        assert cloud.views[row] == voxel["views"]


def test_the_order_of_the_views_does_not_matter() -> None:
    views = [view_of_kind(seed, kind) for seed, kind in enumerate(("sensor", "stereo", "stereo", "sparse"))]
    clouds = []
    for order in permutations(views):
        estimate = GeometryEstimate(tuple(k for k, _ in order), tuple(p for _, p in order), metric=True)
        cloud = fuse(estimate, FusionConfig(voxel_size=0.2))
        rows = np.lexsort(np.floor(cloud.points.T.astype(float) / 0.2))
        clouds.append((cloud.points[rows], cloud.confidence[rows], cloud.views[rows]))
    for points, confidence, seen in clouds[1:]:
        assert np.allclose(points, clouds[0][0], atol=1e-6)
        assert np.allclose(confidence, clouds[0][1], rtol=1e-6)
        assert np.array_equal(seen, clouds[0][2])


def test_the_same_view_twice_changes_only_the_weights() -> None:
    view = random_view(1)
    once = merged([view], FusionConfig(voxel_size=0.2)).cloud()
    twice = merged([view, view], FusionConfig(voxel_size=0.2)).cloud()
    assert np.allclose(once.points, twice.points, atol=1e-6)
    assert np.array_equal(once.colors, twice.colors)
    assert np.allclose(once.normals, twice.normals, atol=1e-6)
    assert np.allclose(twice.confidence - 1, 2 * (once.confidence - 1), rtol=1e-4)
    assert (twice.views == 2).all()


def rows_of(fusion: CloudFusion, some: PointCloud) -> np.ndarray:
    """The rows of the cloud at which the points ``some`` of it are."""
    cloud = fusion.cloud().points
    _, here, _ = np.intersect1d(voxel_keys(cloud, 1e-4), voxel_keys(some.points, 1e-4), return_indices=True)
    return here


def test_merging_returns_the_points_this_view_created() -> None:
    fusion = CloudFusion(FusionConfig(voxel_size=0.2))
    first = fusion.add(*random_view(1))
    np.testing.assert_array_equal(first.points, fusion.cloud().points)
    before = by_voxel(fusion.cloud(), 0.2)
    new = by_voxel(fusion.merge(*random_view(2)), 0.2)
    after = by_voxel(fusion.cloud(), 0.2)
    assert set(new) == set(after) - set(before)


def test_what_is_created_is_right_after_removal(plane_keyframe: Callable[..., Keyframe]) -> None:
    ghost, later = plane_keyframe(name="ghost"), plane_keyframe(name="later", centre=(0.4, 0, 0))
    ghost.depth[50:70, 70:90] = 1.2
    fusion = CloudFusion(FusionConfig())
    before = len(fusion.add(ghost, estimate_of(ghost).pointmaps[0]))
    rows = rows_of(fusion, fusion.add(later, estimate_of(later).pointmaps[0]))
    assert len(fusion) - len(rows) < before
    assert (fusion.cloud().views[rows] == 1).all()
    assert np.isin(np.flatnonzero(fusion.cloud().points[:, 0] > 1.3), rows).all()  # seen by later alone


def test_memory_is_bounded_and_the_least_confident_leave() -> None:
    config = FusionConfig(voxel_size=0.05, max_points=50)
    everything = merged([random_view(3)], FusionConfig(voxel_size=0.05)).cloud()
    fusion = CloudFusion(config)
    rows = fusion.add(*random_view(3))
    cloud = fusion.cloud()
    assert len(cloud) == len(fusion) == len(rows) == 50
    assert cloud.confidence.min() >= np.sort(everything.confidence)[-50]
    for seed in range(4, 8):
        created = fusion.add(*random_view(seed))
        assert len(rows_of(fusion, created)) == len(created)
        assert len(fusion) == 50


def test_points_below_the_least_confidence_are_left_out() -> None:
    keyframe, pointmap = random_view(1)
    cloud = merged([(keyframe, pointmap)], FusionConfig(voxel_size=0.001, min_confidence=5)).cloud()
    assert len(cloud) == np.count_nonzero(pointmap.confidence >= 5)


def estimate_of(*views: Keyframe) -> GeometryEstimate:
    return RgbdGeometry(RgbdConfig()).estimate(views, Silent())


def test_what_a_later_view_sees_through_is_removed(plane_keyframe: Callable[..., Keyframe]) -> None:
    ghost = plane_keyframe(name="ghost")
    ghost.depth[50:70, 70:90] = 1.2  # something that is gone when the second view is taken
    later = plane_keyframe(name="later", centre=(0.05, 0, 0))
    fusion = CloudFusion(FusionConfig())
    alone = [estimate_of(view).pointmaps[0] for view in (ghost, later)]
    fusion.add(ghost, alone[0])
    assert np.count_nonzero(fusion.cloud().points[:, 2] < 1.5) > 50
    fusion.add(later, alone[1])
    assert fusion.cloud().points[:, 2].min() > 1.9


def test_somebody_who_walks_by_leaves_nothing(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [plane_keyframe(name=str(i), centre=(0.05 * i, 0, 0)) for i in range(4)]
    for i, view in enumerate(views):
        view.depth[30:110, 10 + 35 * i : 35 + 35 * i] = 1.2
    estimate = estimate_of(*views)
    assert sum(np.count_nonzero(p.points[..., 2] < 1.5) for p in estimate.pointmaps) > 5000
    cloud = fuse(estimate, FusionConfig())
    assert np.count_nonzero(cloud.points[:, 2] < 1.5) < 0.02 * len(cloud)


def test_views_that_know_less_remove_what_lies_well_before_their_surface(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    """C = 1.1 is a deviation of 3.2 percent: 8 percent apart is another surface, 6 percent is not."""
    wall = plane_keyframe()
    for distance, gone in ((1.7, True), (1.88, False)):
        fusion = CloudFusion(FusionConfig())
        for view in (plane_keyframe(point=(0, 0, distance), name="b"), wall):
            depth = view.depth
            assert depth is not None
            points = view.camera.unproject(depth)
            pointmap = PointMap(points, np.full_like(points, np.nan), np.full(depth.shape, 1.2, np.float32))
            fusion.add(view, pointmap)
        nearer = fusion.cloud().points[:, 2] < 1.95
        assert nearer.any() != gone


def test_what_more_views_measured_stays(plane_keyframe: Callable[..., Keyframe]) -> None:
    views = [plane_keyframe(name=str(i)) for i in range(3)]
    for view in views[:2]:
        view.depth[50:70, 70:90] = 1.2
    fusion = CloudFusion(FusionConfig())
    for view in views:
        fusion.add(view, estimate_of(view).pointmaps[0])
    assert np.count_nonzero(fusion.cloud().points[:, 2] < 1.5) > 50


def test_a_wall_seen_from_two_sides_of_its_rim_is_not_carved(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    views = [plane_keyframe(centre=(x, 0, 0), name=str(x)) for x in (0.0, 0.3)]
    for view in views:  # a box 1 m ahead covers x < 0 of the wall, exactly
        edge = view.camera.project(np.array([[0.0, 0, 1]]))[0][0, 0]
        view.depth[:, : int(edge)] = 1
    fusion = CloudFusion(FusionConfig())
    for view in views:
        fusion.merge(view, estimate_of(view).pointmaps[0])
    assert [fusion.carve(view, estimate_of(view).pointmaps[0]) for view in views] == [0, 0]


def test_restoring_a_cloud_and_going_on() -> None:
    config = FusionConfig(voxel_size=0.2)
    first = merged([random_view(1)], config)
    second = CloudFusion(config)
    second.restore(first.cloud())
    for fusion in (first, second):
        fusion.merge(*random_view(2))
    mine, theirs = first.cloud(), second.cloud()
    assert np.allclose(mine.points, theirs.points, atol=1e-4)
    assert np.allclose(mine.confidence, theirs.confidence, rtol=1e-4)
    assert np.array_equal(mine.views, theirs.views)


def test_moving_voxels_into_one_keeps_what_they_were_measured_by() -> None:
    """Two groups are moved into one: as if all their views had been merged where they come to lie."""
    config, away = FusionConfig(voxel_size=1.0), np.eye(4)
    away[0, 3] = 64.0
    views = [view_of_kind(1, "stereo"), view_of_kind(1, "sensor"), view_of_kind(1, "stereo")]
    fusion = CloudFusion(config)
    for group, (keyframe, pointmap) in enumerate(views):
        shifted = replace(pointmap, points=pointmap.points - np.float32(64) * np.float32([group, 0, 0]))
        fusion.merge(keyframe, shifted, group=group)
    fusion.move({1: away, 2: away @ away})
    mine, theirs = fusion.cloud(), merged(views, config).cloud()
    np.testing.assert_allclose(mine.points, theirs.points, atol=1e-4)
    np.testing.assert_allclose(mine.confidence, theirs.confidence, rtol=1e-5)


def test_a_restored_sensor_map_is_surer_where_stereo_sees_it_too() -> None:
    config = FusionConfig(voxel_size=0.2)
    sensor, stereo = view_of_kind(1, "sensor"), view_of_kind(1, "stereo")
    fusion = CloudFusion(config)
    fusion.restore(merged([sensor] * 3, config).cloud())
    for _ in range(2):
        fusion.merge(*stereo)
    expected = merged([sensor] * 3 + [stereo], config).cloud().confidence
    np.testing.assert_allclose(fusion.cloud().confidence, expected, rtol=1e-4)


def test_observed_stays_observed() -> None:
    fusion = CloudFusion(FusionConfig(voxel_size=0.2))
    fusion.merge(*random_view(1), provenance=GENERATED)
    assert (fusion.cloud().provenance == GENERATED).all()
    rows = rows_of(fusion, fusion.merge(*random_view(2)))
    cloud = fusion.cloud()
    assert (cloud.provenance[rows] == OBSERVED).all()
    assert (
        (cloud.provenance == OBSERVED) == ((cloud.views == 2) | np.isin(np.arange(len(cloud)), rows))
    ).all()


def test_the_voxel_follows_the_scale_of_a_world_that_is_not_metric(
    plane_keyframe: Callable[..., Keyframe],
) -> None:
    metric = estimate_of(plane_keyframe())
    keyframe, pointmap = metric.keyframes[0], metric.pointmaps[0]
    scaled = GeometryEstimate(
        (keyframe,), (replace(pointmap, points=pointmap.points * np.float32(37)),), metric=False
    )
    assert world_scale(metric) == 1
    assert world_scale(scaled) == pytest.approx(37, rel=1e-4)
    assert len(fuse(scaled, FusionConfig())) == pytest.approx(len(fuse(metric, FusionConfig())), rel=0.02)


def test_an_empty_view_gives_an_empty_cloud() -> None:
    keyframe, pointmap = random_view(1, unknown=1.0)
    fusion = CloudFusion(FusionConfig())
    assert len(fusion.add(keyframe, pointmap)) == 0
    assert fusion.cloud().points.shape == (0, 3)


def test_a_world_too_large_for_its_voxels_is_one_clear_error() -> None:
    keyframe, pointmap = random_view(1)
    far = replace(pointmap, points=pointmap.points + np.float32(500_000))
    with pytest.raises(GeometryError, match="m from the origin"):
        CloudFusion(FusionConfig()).add(keyframe, far)


def test_odds_of_several_views_are_averaged_not_added() -> None:
    """What stereo says of a view already counts that others agree; also after saving and restoring."""
    config, rng = FusionConfig(voxel_size=0.2), np.random.default_rng(0)
    keyframe, pointmap = random_view(1)
    odds = [
        replace(pointmap, confidence=(1 + rng.uniform(1, 5, (12, 12))).astype(np.float32), deviation=0.01)
        for _ in range(3)
    ]
    single = [merged([(keyframe, one)], config).cloud().confidence for one in odds]
    np.testing.assert_allclose(
        merged([(keyframe, one) for one in odds], config).cloud().confidence,
        np.mean(single, axis=0),
        rtol=1e-5,
    )
    restored = CloudFusion(config)
    restored.restore(merged([(keyframe, one) for one in odds[:2]], config).cloud(), shared=True)
    restored.merge(keyframe, odds[2])
    np.testing.assert_allclose(restored.cloud().confidence, np.mean(single, axis=0), rtol=1e-5)
