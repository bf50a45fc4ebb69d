"""A wrong patch in one of several views: the colour term is L1 with outliers weighted down, and views that
agree outvote it.

A squared error would end at the mean of the views: with a share s of them wrong, s times as far from the
truth as the wrong view alone leads.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from test_optimise import CONFIG, camera, disturbed, one_thread, optimise, wall

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.view import TrainingView

__all__ = ["one_thread"]  # a fixture

MANY = CONFIG.model_copy(update={"steps": 200, "max_gaussians": 400, "outliers": 2.0})
TRUTH = replace(wall(400, 3), log_scales=np.full((400, 3), math.log(0.1), np.float32))
PATCH = slice(12, 24), slice(16, 32)
"""A ninth of the view."""


def at(x: float) -> Camera:
    plain = camera(x, 48, 36)
    return replace(plain, intrinsics=plain.intrinsics * [[44 / 18, 1, 1], [1, 44 / 18, 1], [1, 1, 1]])


def seen(x: float) -> TrainingView:
    image, depth, _ = render_view(TRUTH, at(x))
    return TrainingView(at(x), image.clip(0, 1), np.full(depth.shape, 5, np.float32), depth, OBSERVED)


def spoilt(view: TrainingView, how: str) -> TrainingView:
    image = view.image.copy()
    image[PATCH] = 1 - image[PATCH] if how == "inverted" else image[:12, :16]
    return replace(view, image=image)


def error(views: list[TrainingView], x: float) -> float:
    """The root mean square error of the map inside the patch, from a place that nobody spoils."""
    gaussians: GaussianMap = optimise(disturbed(TRUTH), views, MANY)[0]
    difference = render_view(gaussians, at(x))[0] - render_view(TRUTH, at(x))[0]
    return float(np.sqrt((difference[PATCH] ** 2).mean()))


def decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)


@pytest.mark.parametrize("how", ["inverted", "piece"])
@pytest.mark.parametrize(("places", "loss"), [((-0.2, 0, 0.2), 3.5), ((-0.3, -0.15, 0, 0.15, 0.3), 2)])
def test_a_wrong_patch_in_one_of_several_views_is_outvoted(
    places: tuple[float, ...], loss: float, how: str
) -> None:
    views, middle = [seen(x) for x in places], len(places) // 2
    wrong = spoilt(views[middle], how)
    clean = error(views, places[middle])
    several = error([*views[:middle], wrong, *views[middle + 1 :]], places[middle])
    alone = error([wrong], places[middle])
    assert decibels(1 / clean) > 33
    assert decibels(several / clean) < loss
    assert several < 0.5 * alone / len(places)  # the mean of the views is at alone / len(places)
