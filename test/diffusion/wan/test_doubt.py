import math

import numpy as np
import pytest
import torch

from reconx_ros.diffusion.wan.doubt import DEEP, LEAST, expected_error, provisional_curve


def hole(rows: int = 96, columns: int = 128) -> torch.Tensor:
    """Known at the left, unknown at the right."""
    known = torch.zeros(1, 1, rows, columns)
    known[..., : columns // 2] = 1
    return known


def test_a_model_that_repeats_what_it_was_shown_is_believed_there_and_less_the_deeper_in_a_hole() -> None:
    known = hole()
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    error = expected_error(image, image * known, known)[0, 0, 48]
    torch.testing.assert_close(error[:64], torch.full((64,), LEAST))
    assert (error[64:].diff() >= -1e-6).all()
    assert error[-1] == pytest.approx(math.hypot(LEAST, DEEP), rel=1e-3)


def test_disagreement_with_the_render_counts_nearby_and_in_the_hole() -> None:
    known = hole()
    image = torch.full((1, 3, 96, 128), 0.5)
    error = expected_error(image + 0.3, image * known, known)[0, 0, 48]
    torch.testing.assert_close(error[:64], torch.full((64,), math.hypot(LEAST, 0.3)), rtol=1e-3, atol=0)
    assert error[-1] == pytest.approx(math.sqrt(LEAST**2 + 0.3**2 + DEEP**2), rel=1e-2)


def test_spread_between_draws_counts_twice_in_holes_and_not_where_known() -> None:
    known = hole()
    image = torch.full((1, 3, 96, 128), 0.5)
    plain = expected_error(image, image * known, known)
    spread = expected_error(image, image * known, known, torch.full((1, 1, 96, 128), 0.04))
    added = (spread.square() - plain.square())[0, 0, 48]
    torch.testing.assert_close(added, torch.where(known[0, 0, 48] > 0, 0.0, 0.08), atol=1e-6, rtol=1e-4)


def test_nothing_known_is_doubted_most() -> None:
    image = torch.rand(1, 3, 64, 64)
    error = expected_error(image, torch.zeros_like(image), torch.zeros(1, 1, 64, 64))
    torch.testing.assert_close(error, torch.full_like(error, math.sqrt(LEAST**2 + 2 * DEEP**2)))


def test_confidence_is_the_share_of_gaussian_errors_within_the_tolerance() -> None:
    sigma = np.array([0.03, 0.08, 0.15, 0.4], np.float32)
    drawn = np.random.default_rng(0).normal(size=(200_000, 1)) * sigma
    share = (np.abs(drawn) <= 0.1).mean(axis=0).clip(0.02, 0.98)
    np.testing.assert_allclose(provisional_curve().confidence(sigma), share, atol=0.01)
