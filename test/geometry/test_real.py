"""Confidence must predict error on real frames that no estimate has seen."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.geometry.config import FusionConfig, RgbdConfig
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import GeometryEstimate, PointMap
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def kitchen(redkitchen_bag: Path) -> tuple[GeometryEstimate, list[Keyframe]]:
    """Eight keyframes with their geometry, and every eighth frame, held out."""
    with open_source(redkitchen_bag, SourceConfig()) as source:
        frames = list(source.frames())
    inputs = select_evenly((frame for i, frame in enumerate(frames) if i % 8), 8, 480)
    return RgbdGeometry(RgbdConfig()).estimate(inputs, Silent()), frames[::8]


def errors(pointmap: PointMap, held: Keyframe) -> tuple[Floats, Floats]:
    """Return C and the relative depth error of the points that ``held`` measured and does not hide."""
    points = pointmap.points[pointmap.known].astype(np.float64)
    pixels, depth = held.camera.project(points)
    index = np.rint(pixels).astype(int)
    inside = (depth > 0.2) & (index >= 0).all(axis=1)
    inside &= (index < [held.camera.width, held.camera.height]).all(axis=1)
    assert held.depth is not None
    measured = held.depth[index[inside, 1], index[inside, 0]]
    error = (depth[inside] - measured) / depth[inside]
    shown = error < 0.1  # NaN is not
    return pointmap.confidence[pointmap.known][inside][shown].astype(float), np.abs(error[shown])


def test_higher_confidence_is_lower_error(kitchen: tuple[GeometryEstimate, list[Keyframe]]) -> None:
    estimate, held = kitchen
    samples = [
        errors(pointmap, view)
        for keyframe, pointmap in zip(estimate.keyframes, estimate.pointmaps, strict=True)
        for view in held
        if abs(view.stamp_ns - keyframe.stamp_ns) < 1.5e9
    ]
    confidence, error = (np.concatenate(part) for part in zip(*samples, strict=True))
    bins = np.digitize(confidence, [1.1, 2, 3, 4, 5])
    mean = np.array([error[bins == b].mean() for b in range(6)])
    outliers = np.array([(error[bins == b] > 0.05).mean() for b in range(6)])
    assert (np.diff(mean) < 0).all(), mean
    assert (np.diff(outliers) < 0).all(), outliers
    assert mean[0] > 5 * mean[-1]
    # C - 1 is an inverse variance in units of one percent: the middle of the bin of C in 4 to 5 is a
    # deviation of 0.53 percent, and two frames differ by sqrt(2) of that.
    assert np.median(error[bins == 4]) / 0.6745 == pytest.approx(0.0053 * np.sqrt(2), rel=0.35)


def test_the_fused_cloud_lies_on_the_surfaces_that_held_out_frames_measure(
    kitchen: tuple[GeometryEstimate, list[Keyframe]],
) -> None:
    estimate, held = kitchen
    cloud = fuse(estimate, FusionConfig())
    assert 50_000 < len(cloud) < 200_000
    assert np.allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-4)
    as_map = PointMap(cloud.points[None], cloud.normals[None], cloud.confidence[None])
    confidence, error = (
        np.concatenate(part) for part in zip(*(errors(as_map, view) for view in held), strict=True)
    )
    trusted = confidence > 3
    assert np.median(error[trusted]) < 0.008
    assert (error[trusted] > 0.05).mean() < 0.05 < (error[~trusted] > 0.05).mean()
