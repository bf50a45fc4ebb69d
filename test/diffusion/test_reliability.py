"""Confidence is the share that is right: fitted, monotone, shifted by what a run finds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reconx_ros.diffusion.reliability import LEAST, MOST, Reliability, fit, is_right, load, save
from reconx_ros.errors import SynthesisError


def test_the_curve_of_a_known_law_is_found() -> None:
    random = np.random.default_rng(0)
    says = random.uniform(0, 1, 200_000).astype(np.float32)
    right = random.random(len(says)) < 0.9 - 0.7 * says
    at = np.float32([0.1, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(fit(says, right).confidence(at), 0.9 - 0.7 * at, atol=0.02)


@given(
    arrays(np.float32, st.integers(1, 200), elements=st.floats(0, 1, width=32)),
    st.integers(0, 2**31),
)
def test_a_curve_never_rises_and_stays_inside(says: np.ndarray, seed: int) -> None:
    right = np.random.default_rng(seed).random(len(says)) < 0.5
    curve = fit(says, right)
    found = curve.confidence(np.linspace(-1, 2, 50, dtype=np.float32))
    assert (np.diff(found) <= 1e-6).all()
    assert (found >= LEAST - 1e-6).all()
    assert (found <= MOST + 1e-6).all()


def test_a_run_shifts_the_curve_to_what_it_found() -> None:
    curve = Reliability((0.0, 1.0), (0.9, 0.3))
    says = np.linspace(0, 1, 1000, dtype=np.float32)
    right = np.arange(1000) % 4 == 0
    shifted = curve.shifted(curve.confidence(says), right)
    assert float(shifted.confidence(says).mean()) == pytest.approx(0.25, abs=0.01)
    assert (np.diff(shifted.confidence(says)) <= 0).all()
    again = shifted.shifted(shifted.confidence(says), right)
    assert again.shift == pytest.approx(shifted.shift, abs=0.01)
    hopeless = curve.shifted(curve.confidence(says), np.zeros(1000, np.bool_))
    assert 0 < float(hopeless.confidence(says).min()) < 0.03


def test_right_means_within_the_tolerance_over_channels() -> None:
    truth = np.zeros((1, 3, 3), np.float32)
    image = np.float32([[[0.29, 0.0, 0.0], [0.11, 0.11, 0.11], [0.1, 0.1, 0.09]]])
    assert is_right(image, truth).tolist() == [[True, False, True]]


def test_curves_are_saved_and_read(tmp_path: Path) -> None:
    curves = {"small": Reliability((0.0, 0.5), (0.9, 0.1)), "push-pull": Reliability((0.1,), (0.5,))}
    save(curves, tmp_path / "c.json")
    assert load(tmp_path / "c.json") == curves
    (tmp_path / "bad.json").write_text('{"small": 3}')
    for name in ("bad.json", "missing.json"):
        with pytest.raises(SynthesisError, match="reliability curves"):
            load(tmp_path / name)
