"""Blocks of Gaussians: no view misses anything that a look at each of them would find."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import RECIPES, Recipe, parameters, scene

from reconx_ros.splatting.blocks import Blocks
from reconx_ros.splatting.rasterize import rasterize

WIDTHS = st.integers(1, 7)


@settings(max_examples=150, deadline=None)
@given(RECIPES, WIDTHS)
def test_what_a_view_shows_is_in_the_blocks_it_sees(recipe: Recipe, width: int) -> None:
    arrays, view = scene(recipe)
    whole = parameters(arrays, torch.float32, grad=False)
    blocks = Blocks.of(whole.means.numpy(), whole.log_scales.numpy(), width)
    rows = blocks.rows(blocks.seen(view))
    drawn = rasterize(whole, view, backend="cpu")
    assert np.isin(np.flatnonzero(drawn.visible.numpy()), rows).all()
    some = rasterize(whole.select(torch.from_numpy(rows)), view, backend="cpu")
    for name in ("color", "depth", "alpha"):
        torch.testing.assert_close(getattr(some, name), getattr(drawn, name), rtol=0, atol=1e-6)


def test_blocks_out_of_view_are_left_out() -> None:
    """Of a long wall, seen by a camera before its middle, only what is near the image is looked at."""
    view = scene(Recipe(0, 0, 0, 40, 30, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))[1]
    local = np.stack([np.linspace(-50, 50, 10_000), np.zeros(10_000), np.full(10_000, 2.0)], axis=1)
    means = (local @ view.world_from_camera[:3, :3].T + view.centre).astype(np.float32)
    blocks = Blocks.of(means, np.full_like(means, np.log(0.01)), 50)
    rows = blocks.rows(blocks.seen(view))
    assert 0 < len(rows) < 500
    assert blocks.seen(view, far=2.5).any()
    assert not blocks.seen(view, far=1.2).any()
    behind = Blocks.of((2 * view.centre - means).astype(np.float32), np.full_like(means, np.log(0.01)), 50)
    assert not behind.seen(view).any()


@given(st.integers(0, 40), st.integers(0, 40), WIDTHS)
def test_blocks_that_grow_are_those_made_at_once(first: int, second: int, width: int) -> None:
    rng = np.random.default_rng(first)
    means, scales = (rng.normal(size=(first + second, 3)).astype(np.float32) for _ in range(2))
    grown = Blocks.of(means[:first], scales[:first], width).extended(means, scales)
    once = Blocks.of(means, scales, width)
    assert grown.count == once.count
    for name in ("low", "high", "size"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(once, name))
    assert grown.rows(np.ones(len(grown.size), bool)).tolist() == list(range(first + second))
