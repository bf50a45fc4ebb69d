"""Real photos without poses, from the files to a map that shows them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reconx_ros.cli.reconstruction import Request, run
from reconx_ros.config import load_config
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.mapping.folder import load
from reconx_ros.progress import Silent
from reconx_ros.splatting.rasterize import render_view

CONFIG = load_config(
    "fast",
    None,
    {
        "splatting": {"steps": 100},
        "synthesis": {"method": "none"},
        "keyframes": {"image_width": 240},
        "geometry": {"poses": {"image_width": 640, "max_features": 2048}},
    },
)


def test_three_real_photos_become_a_map_that_shows_them(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    result = run(Request(real_data("campus3"), tmp_path, CONFIG), Silent())
    assert result.report["poses"]["registered"] == 3
    assert result.report["geometry"] == "plane-sweep"
    assert result.report["geometry_reason"] == "3 of 3 keyframes have a pose, none has depth too"
    assert not result.metric
    assert len(result.cloud) > 2000
    assert np.isfinite(result.cloud.points).all()
    saved = load(tmp_path)
    for view in result.keyframes:
        image, depth, alpha = render_view(saved.gaussians, view.camera)
        picture = saved.appearance.develop(image, alpha, view.camera)
        assert psnr(picture, view.image.astype(np.float32) / 255) > 20
        # The surfaces drawn are those that the points lie on, not a curtain before the camera.
        pixels, ahead = view.camera.project(result.cloud.points.astype(np.float64))
        column, row = np.rint(pixels).astype(int).T
        seen = (ahead > 0) & (column >= 0) & (row >= 0)
        seen &= (column < view.camera.width) & (row < view.camera.height)
        drawn = depth[row[seen], column[seen]]
        assert np.nanmedian(np.abs(drawn / ahead[seen] - 1)) < 0.1
