from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce, reduce_depth


def test_a_small_image_stays_as_it_is(make_view: Callable[..., Keyframe]) -> None:
    view = make_view()
    assert reduce(view, 64) is view
    assert reduce(view, 100) is view


def test_sizes_intrinsics_and_area_average(make_view: Callable[..., Keyframe]) -> None:
    view = make_view()
    half = reduce(view, 32)
    assert half.image.shape == (24, 32, 3)
    assert half.image.dtype == np.uint8
    assert half.depth is not None
    assert half.depth.shape == (24, 32)
    assert half.depth.dtype == np.float32
    blocks = view.image.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(half.image - blocks).max() <= 0.5
    assert np.allclose(half.camera.intrinsics, view.camera.resized(32, 24).intrinsics)
    assert reduce(replace(view, depth=None), 32).depth is None


@pytest.mark.parametrize("width", [320, 480, 213])
def test_the_depth_of_a_plane_stays_exact(width: int) -> None:
    camera = Camera(np.array([[525.0, 0, 320], [0, 525, 240], [0, 0, 1]]), np.eye(4), 640, 480)
    small = camera.resized(width, width * 3 // 4)
    normal, distance = np.array([0.6, -0.2, 0.77]), 2.0
    depth, expected = ((distance / (one.rays() @ normal)).astype(np.float32) for one in (camera, small))
    assert np.allclose(reduce_depth(depth, small.width, small.height), expected, rtol=1e-4)


def test_depth_is_not_mixed_across_edges_and_holes_stay_holes() -> None:
    rng = np.random.default_rng(0)
    depth = rng.choice(np.array([1.0, 1.5, 4.0], np.float32), (48, 64))
    depth[10:20, 10:20] = np.nan
    for width, height in ((32, 24), (48, 36), (21, 16)):
        small = reduce_depth(depth, width, height)
        values = small[np.isfinite(small)]
        nearest = np.abs(values[:, None] / np.array([1.0, 1.5, 4.0]) - 1).min(axis=1)
        assert nearest.max() <= 0.0101  # a blend that stays within 1 percent of a surface at most
        rows = np.arange(height) * 48 // height
        columns = np.arange(width) * 64 // width
        inner = (rows >= 11)[:, None] & (rows <= 17)[:, None] & (columns >= 11) & (columns <= 17)
        assert inner.any()
        assert np.isnan(small[inner]).all()
        assert np.isfinite(small[(rows > 24)[:, None] & (columns > 24)]).all()
