from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.confidence import (
    EDGE_WIDTH,
    FLOOR,
    LATERAL,
    confidence,
    edge_weight,
    presence,
    relative_deviation,
)
from reconx_ros.geometry.config import RgbdConfig

CONFIG = RgbdConfig()


def test_deviation_follows_the_formula(
    make_camera: Callable[..., Camera], plane_depth: Callable[..., NDArray[np.float32]]
) -> None:
    camera = make_camera()
    normal = Rotation.from_euler("y", 50, degrees=True).apply([0, 0, -1])
    depth = plane_depth(camera, normal, np.array([0, 0, 2.0]))
    normals = np.broadcast_to(normal.astype(np.float32), (*depth.shape, 3))
    row, column = 37, 91
    ray = np.linalg.inv(camera.intrinsics) @ [column, row, 1]
    theta = np.arccos(-normal @ ray / np.linalg.norm(ray))
    sensor = CONFIG.noise_at_one_metre * depth[row, column]
    lateral = LATERAL * np.tan(theta) / camera.intrinsics[0, 0]
    expected = np.sqrt(sensor**2 + lateral**2 + FLOOR**2)
    assert relative_deviation(depth, normals, camera, CONFIG)[row, column] == pytest.approx(
        expected, rel=1e-4
    )


def test_confidence_falls_with_distance_and_with_grazing_angle(make_camera: Callable[..., Camera]) -> None:
    camera = make_camera()

    def centre_confidence(depth: float, tilt: float) -> float:
        normal = Rotation.from_euler("y", tilt, degrees=True).apply([0, 0, -1]).astype(np.float32)
        image = np.full((120, 160), depth, np.float32)
        deviation = relative_deviation(image, np.broadcast_to(normal, (120, 160, 3)), camera, CONFIG)
        return confidence(deviation, np.ones_like(image), np.ones_like(image))[60, 80]

    by_depth = [centre_confidence(depth, 0) for depth in (0.5, 1, 2, 4, 8)]
    by_tilt = [centre_confidence(2, tilt) for tilt in (0, 30, 60, 75, 85)]
    assert (np.diff(by_depth) < -0.05).all()
    assert (np.diff(by_tilt) < -0.05).all()


def test_edge_weight_is_zero_on_both_sides_of_a_step_and_beside_a_hole() -> None:
    depth = np.full((40, 60), 2, np.float32)
    depth[:, 30:] = 3
    depth[10:14, 5:9] = np.nan
    weight = edge_weight(depth, 0.05)
    assert (weight[:, 29:31] == 0).all()
    assert weight[20, 31] == pytest.approx(1 - np.exp(-0.5 / EDGE_WIDTH**2), rel=1e-5)
    assert weight[20, 35] > weight[20, 33] > weight[20, 31]
    assert weight[12, 9] == pytest.approx(1 - np.exp(-0.5 / EDGE_WIDTH**2), rel=1e-5)
    assert weight[30, 15] > 0.99


def test_a_slope_is_no_edge(
    make_camera: Callable[..., Camera], plane_depth: Callable[..., NDArray[np.float32]]
) -> None:
    normal = Rotation.from_euler("y", 70, degrees=True).apply([0, 0, -1])
    depth = plane_depth(make_camera(), normal, np.array([0, 0, 2.0]))
    depth[depth > 5] = np.nan
    assert edge_weight(depth, 0.05)[60, 80] > 0.99


@given(st.integers(0, 6), st.integers(0, 6))
def test_presence_rises_with_agreement_and_falls_with_contradiction(agrees: int, contradicts: int) -> None:
    def probability(a: int, c: int) -> float:
        return float(presence(np.array([a]), np.array([c]))[0])

    assert 0 < probability(agrees, contradicts) < 1
    assert probability(agrees + 1, contradicts) > probability(agrees, contradicts)
    assert probability(agrees, contradicts + 1) < probability(agrees, contradicts)


def test_unknown_depth_has_confidence_exactly_one() -> None:
    deviation = np.array([[np.nan, 0.01]], np.float32)
    ones = np.ones((1, 2), np.float32)
    assert confidence(deviation, ones, ones).tolist() == [[1.0, 2.0]]
