from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from skimage.color import rgb2lab

from reconx_ros.evaluation.colour_space import (
    lab_from_linear,
    linear_from_srgb,
    linear_from_ycxcz,
    ycxcz_from_linear,
)
from reconx_ros.evaluation.flip import flip_map

Picture = NDArray[np.float32]
Patch = Callable[[float, float, float], Picture]
CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "shifted": lambda picture: np.roll(picture, 2, axis=1),
    "darker": lambda picture: np.float32(0.8) * picture,
    "grey": lambda picture: np.repeat(picture.mean(axis=-1, keepdims=True), 3, axis=-1),
}


@pytest.mark.parametrize(
    ("name", "pixels_per_degree", "mean", "largest"),
    [
        ("shifted", 67.0, 0.2431235, 0.9675709),
        ("shifted", 30.0, 0.2386542, 0.9813447),
        ("darker", 67.0, 0.5647378, 0.7793517),
        ("darker", 30.0, 0.5416178, 0.7839606),
        ("grey", 67.0, 0.7504083, 0.9790074),
        ("grey", 30.0, 0.7393578, 0.9809932),
    ],
)
def test_agrees_with_the_authors_tool(
    waves: Picture, name: str, pixels_per_degree: float, mean: float, largest: float
) -> None:
    """The numbers are those of NVIDIA's flip-evaluator 1.7 on the same pictures."""
    difference = flip_map(CHANGES[name](waves), waves, pixels_per_degree)
    assert difference.mean() == pytest.approx(mean, abs=1e-5)
    assert difference.max() == pytest.approx(largest, abs=5e-5)


def test_equal_pictures_differ_nowhere(waves: Picture) -> None:
    assert flip_map(waves, waves).max() == 0


def test_black_against_white_by_hand(patch: Patch) -> None:
    # Lightness 0 and 100, no chroma: HyAB = 100. Green to blue after Hunt: |87.73 - 32.30| + 147.87.
    knee = 0.4 * 203.3**0.7
    expected = 0.95 + 0.05 * (100**0.7 - knee) / (203.3**0.7 - knee)
    assert np.allclose(flip_map(patch(0, 0, 0), patch(1, 1, 1)), expected, atol=1e-4)


def test_two_greys_by_hand(patch: Patch) -> None:
    # sRGB 0.5 is linear 0.21404, lightness 53.389; sRGB 0.4 is 0.13287, 43.192. Below the knee.
    expected = 0.95 / (0.4 * 203.3**0.7) * (53.389 - 43.192) ** 0.7
    assert np.allclose(flip_map(patch(0.5, 0.5, 0.5), patch(0.4, 0.4, 0.4)), expected, atol=1e-4)


def test_green_against_blue_is_the_largest_difference(patch: Patch) -> None:
    assert np.allclose(flip_map(patch(0, 1, 0), patch(0, 0, 1)), 1.0, atol=1e-6)


def test_a_shifted_edge_weighs_more_than_its_colour(patch: Patch) -> None:
    left, right = patch(0.2, 0.2, 0.2), patch(0.2, 0.2, 0.2)
    left[:, 10:] = right[:, 13:] = 0.8
    edge = flip_map(left, right)
    assert edge[12, 11] > 2 * edge[12, 2]
    assert edge[12, 11] > 0.3


@settings(max_examples=25, deadline=None)
@given(
    hnp.arrays(np.float32, (13, 15, 3), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float32, (13, 15, 3), elements=st.floats(0, 1, width=32)),
)
def test_symmetric_and_within_bounds(first: Picture, second: Picture) -> None:
    forth, back = flip_map(first, second), flip_map(second, first)
    assert np.allclose(forth, back, atol=1e-6)
    assert forth.min() >= 0
    assert forth.max() <= 1


def test_colour_spaces_agree_with_skimage_and_invert(waves: Picture) -> None:
    linear = linear_from_srgb(waves.astype(np.float64))
    assert np.abs(lab_from_linear(linear) - rgb2lab(waves)).max() < 0.05  # skimage rounds its matrix
    assert np.abs(linear_from_ycxcz(ycxcz_from_linear(linear)) - linear).max() < 1e-12
