"""Rows as they travel on the link: what is lost is less than what is not sent at all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.half_rows import half_message, half_size, rows_from_half
from reconx_ros.ros.rows import CLOUD_TYPE, gaussian_rows, gaussian_type
from reconx_ros.splatting.gaussians import GaussianMap


@given(st.integers(0, 40), st.integers(0, 3), st.floats(1e-6, 50), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_gaussians_come_back_within_what_the_page_says(
    count: int, degree: int, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sh = rng.normal(size=(count, (degree + 1) ** 2, 3)).astype(np.float32)
    sh[:, 1:] *= np.float32(spread)
    rows = gaussian_rows(
        GaussianMap(
            means=rng.normal(size=(count, 3)).astype(np.float32),
            log_scales=rng.uniform(-8, 1, (count, 3)).astype(np.float32),
            quaternions_wxyz=rng.normal(size=(count, 4)).astype(np.float32),
            opacity_logits=rng.uniform(-9, 9, count).astype(np.float32),
            sh=sh,
            confidence=rng.random(count).astype(np.float32),
            provenance=rng.integers(0, 2, count, dtype=np.uint8),
        ),
        rng.permutation(10 * count + 1)[:count],
    )
    back = rows_from_half(half_message(rows))
    assert back.dtype == rows.dtype
    for name in ("x", "y", "z", "id", "provenance"):
        np.testing.assert_array_equal(back[name], rows[name])
    for name in ("confidence", "opacity"):
        np.testing.assert_allclose(back[name], rows[name], atol=0.00197)
    for name in rows.dtype.names or ():
        if name.startswith(("scale_", "rot_", "f_dc_")):
            np.testing.assert_allclose(back[name], rows[name], rtol=5e-4, atol=1e-6)
    rest = [name for name in rows.dtype.names or () if name.startswith("f_rest_")]
    if rest and count:
        values = np.stack([rows[name] for name in rest], axis=1)
        error = np.abs(np.stack([back[name] for name in rest], axis=1) - values)
        assert (error.max(axis=1) <= 0.0041 * np.abs(values).max(axis=1) + 1e-7).all()


def test_points_keep_their_colour() -> None:
    rows = np.zeros(4, CLOUD_TYPE)
    rows["rgb"].view(np.uint32)[:] = [0, 0x00FFFFFF, 0x007FC000, 0x00010203]
    rows["confidence"] = [0, 0.25, 0.999, 1]
    back = rows_from_half(half_message(rows))
    np.testing.assert_array_equal(back["rgb"].view(np.uint32), rows["rgb"].view(np.uint32))
    np.testing.assert_allclose(back["confidence"], rows["confidence"], atol=0.002)


def test_bytes_a_row() -> None:
    assert half_size(CLOUD_TYPE) == 22
    assert [half_size(gaussian_type(n)) for n in (1, 4, 9, 16)] == [39, 50, 65, 86]
    for kind in (CLOUD_TYPE, gaussian_type(9)):
        assert len(half_message(np.zeros(7, kind)).data) == 7 * half_size(kind)


def test_another_layout_is_refused() -> None:
    message = half_message(np.zeros(3, gaussian_type(4)))
    message.fields[0].name = "a"
    with pytest.raises(ValueError, match="are not known"):
        rows_from_half(message)
