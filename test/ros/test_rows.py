"""Packed rows and PointCloud2, against plain struct unpacking."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.ros.cloud_message import from_message, to_message
from reconx_ros.ros.messages import header
from reconx_ros.ros.rows import POINT_TYPE, colors_of, gaussian_rows, gaussians_from_rows, point_rows
from reconx_ros.splatting.gaussians import GaussianMap


def random_gaussians(count: int, degree: int, seed: int) -> GaussianMap:
    rng = np.random.default_rng(seed)
    quaternions = rng.normal(size=(count, 4)).astype(np.float32)
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    return GaussianMap(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        log_scales=rng.uniform(-6, 0, (count, 3)).astype(np.float32),
        quaternions_wxyz=quaternions,
        opacity_logits=rng.uniform(-5, 5, count).astype(np.float32),
        sh=rng.normal(size=(count, (degree + 1) ** 2, 3)).astype(np.float32),
        confidence=rng.uniform(size=count).astype(np.float32),
        provenance=rng.integers(0, 2, count, dtype=np.uint8),
    )


def test_bytes_of_a_point_message_are_those_rviz_reads() -> None:
    points = np.array([[1, -2, 3.5], [4, 5, 6]], np.float32)
    colors = np.array([[255, 128, 1], [2, 3, 4]], np.uint8)
    rows = point_rows(points, colors, np.array([0.25, 1], np.float32), np.array([0, 1], np.uint8))
    message = to_message(rows, header("camera", 1_600_000_000_123_456_789))
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_600_000_000, 123_456_789)
    assert (message.width, message.height, message.point_step, message.row_step) == (2, 1, 24, 48)
    fields = [(f.name, f.offset, f.datatype) for f in message.fields]
    assert fields[3:] == [("rgb", 12, 7), ("confidence", 16, 7), ("provenance", 20, 2)]
    data = bytes(message.data)
    for i in range(2):
        x, y, z, rgb, confidence, provenance = struct.unpack_from("<fffIfB", data, 24 * i)
        assert (x, y, z) == tuple(points[i])
        assert (rgb >> 16, rgb >> 8 & 255, rgb & 255) == tuple(colors[i])
        assert (confidence, provenance) == ([0.25, 1][i], i)


@given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_gaussians_survive_the_message(count: int, degree: int, seed: int) -> None:
    gaussians = random_gaussians(count, degree, seed)
    back = gaussians_from_rows(from_message(to_message(gaussian_rows(gaussians), header("map", 0))))
    for name in ("means", "sh", "confidence", "provenance"):
        np.testing.assert_array_equal(getattr(back, name), getattr(gaussians, name), err_msg=name)
    for name in ("log_scales", "quaternions_wxyz", "opacity_logits"):
        np.testing.assert_allclose(getattr(back, name), getattr(gaussians, name), atol=2e-4, err_msg=name)


def test_gaussian_rows_carry_activated_values() -> None:
    gaussians = random_gaussians(1, 1, 3)
    row = gaussian_rows(gaussians)[0]
    assert row["scale_y"] == pytest.approx(np.exp(gaussians.log_scales[0, 1]))
    assert row["opacity"] == pytest.approx(1 / (1 + np.exp(-gaussians.opacity_logits[0])))
    assert row["rot_w"] == pytest.approx(gaussians.quaternions_wxyz[0, 0])
    assert row["rot_x"] == pytest.approx(gaussians.quaternions_wxyz[0, 1])
    # INRIA order: all higher coefficients of red first, so the second is of red, the fourth of green.
    assert row["f_rest_1"] == gaussians.sh[0, 2, 0]
    assert row["f_rest_3"] == gaussians.sh[0, 1, 1]
    expected = np.clip(0.5 + 0.28209479177387814 * gaussians.sh[0, 0], 0, 1) * 255
    assert np.abs(colors_of(gaussian_rows(gaussians))[0] - expected).max() <= 0.5001


def test_a_cloud_of_another_layout_is_refused() -> None:
    message = to_message(np.zeros(3, POINT_TYPE), header("map", 0))
    message.is_bigendian = True
    with pytest.raises(ValueError, match="little-endian"):
        from_message(message)
