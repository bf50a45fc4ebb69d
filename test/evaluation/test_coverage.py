from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.splats import draw_splats, splats_from_keyframes
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

NOTHING = np.zeros((72, 96), bool)


def test_a_view_covers_itself(plane_view: Callable[..., Keyframe]) -> None:
    assert covered_pixels(plane_view(), [plane_view()], NOTHING, True).all()


def test_a_sideways_view_covers_what_its_image_spans(plane_view: Callable[..., Keyframe]) -> None:
    # 0.5 m to the right at 2 m and f = 80: the images overlap in all but 20 columns.
    covered = covered_pixels(plane_view(), [plane_view(x=0.5)], NOTHING, True)
    assert covered[:, 20:].all()
    assert not covered[:, :20].any()


def test_what_a_box_hides_from_the_input_is_not_covered(plane_view: Callable[..., Keyframe]) -> None:
    # Seen from x = 0.4 the box at z = 1 hides the wall between x = -0.7 and -0.1 (2 * edge - 0.4).
    held_out, seen_from = plane_view(box=True), plane_view(x=0.4, box=True)
    covered = covered_pixels(held_out, [seen_from], NOTHING, True)
    x = held_out.camera.unproject(held_out.depth)[36, :, 0]
    on_wall = held_out.depth[36] > 1.5
    hidden, shown = on_wall & (x > -0.66) & (x < -0.14), on_wall & (x > -0.06)
    assert hidden.sum() >= 8
    assert not covered[36, hidden].any()
    assert covered[36, shown].all()
    assert covered[36, held_out.depth[36] < 1.5].all()
    assert covered_pixels(held_out, [seen_from, plane_view(box=True)], NOTHING, True).all()


def test_depth_must_agree_within_five_percent_and_two_centimetres(
    plane_view: Callable[..., Keyframe],
) -> None:
    view = plane_view()
    for error, metric, expected in (
        (0.115, True, True),
        (0.125, True, False),
        (0.09, False, True),
        (0.115, False, False),
    ):
        other = replace(view, depth=view.depth + np.float32(error))
        assert covered_pixels(view, [other], NOTHING, metric).all() == expected, (error, metric)


def test_pixels_without_depth_are_covered_by_splats(plane_view: Callable[..., Keyframe]) -> None:
    view = plane_view()
    depth = view.depth.copy()
    depth[:10] = np.nan
    splatted = NOTHING.copy()
    splatted[:5] = splatted[40:] = True
    covered = covered_pixels(replace(view, depth=depth), [plane_view(x=50.0)], splatted, True)
    assert covered[:5].all()
    assert not covered[5:].any()
    assert (covered_pixels(replace(view, depth=None), [view], splatted, True) == splatted).all()


def test_inputs_without_depth_or_behind_cover_nothing(plane_view: Callable[..., Keyframe]) -> None:
    view = plane_view()
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])
    away = replace(view, camera=view.camera.moved(turned))
    assert not covered_pixels(view, [replace(view, depth=None), away], NOTHING, True).any()


def test_neighbours_in_a_real_kitchen_cover_most_of_each_other(redkitchen_bag: Path) -> None:
    with open_source(redkitchen_bag, SourceConfig()) as source:
        frames = [frame for index, frame in enumerate(source.frames()) if index in (0, 4, 8, 60)]
    near, view, after, far = frames
    camera = view.camera
    _, splatted = draw_splats(splats_from_keyframes([near, after]), camera, np.zeros(3, np.float32))
    neighbours = covered_pixels(view, [near, after], splatted, True)
    distant = covered_pixels(view, [far], np.zeros_like(splatted), True)
    assert 0.5 < neighbours.mean() < 1.0
    assert distant.mean() < neighbours.mean()
