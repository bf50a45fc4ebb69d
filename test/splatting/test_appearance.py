"""Exposures carry over to views near by."""

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.splatting.appearance import Appearance


def at(x: float, turn: float = 0.0) -> Camera:
    """A camera at (x, 0, 0), turned about y by ``turn`` radians."""
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    pose[0, 3] = x
    return Camera(np.diag([10.0, 10.0, 1.0]), pose, 4, 3)


def two_views() -> Appearance:
    gains = np.array([[0.8, 0.9, 1.0], [1.2, 1.1, 1.0]], np.float32)
    biases = np.array([[0.1, 0.0, 0.0], [0.0, 0.0, -0.1]], np.float32)
    return Appearance.of([at(0), at(1)], gains, biases, np.full(3, 0.5, np.float32))


def test_a_view_keeps_its_own_exposure() -> None:
    gain, bias = two_views().exposure(at(0))
    np.testing.assert_allclose(gain, [0.8, 0.9, 1.0], atol=1e-6)
    np.testing.assert_allclose(bias, [0.1, 0, 0], atol=1e-6)


def test_half_way_the_exposures_are_averaged() -> None:
    gain, bias = two_views().exposure(at(0.5))
    np.testing.assert_allclose(gain, [1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(bias, [0.05, 0, -0.05], atol=1e-6)


def test_turning_counts_as_moving() -> None:
    """Two views in one place, 0.4 rad apart: a view turned half way is their mean."""
    gains = np.array([[0.8] * 3, [1.2] * 3], np.float32)
    field = Appearance.of([at(0), at(0, 0.4)], gains, np.zeros_like(gains), np.zeros(3, np.float32))
    np.testing.assert_allclose(field.exposure(at(0, 0.2))[0], 1.0, atol=1e-5)
    assert (field.exposure(at(0, 0.1))[0] < 0.9).all()


def test_developing_composites_over_the_background() -> None:
    """Colour 0.5 at alpha 0.6 is premultiplied 0.3: 0.3 gain + 0.6 bias + 0.4 background."""
    image, alpha = np.full((3, 4, 3), 0.3, np.float32), np.full((3, 4), 0.6, np.float32)
    picture = two_views().develop(image, alpha, at(0))
    np.testing.assert_allclose(picture[0, 0], [0.24 + 0.06 + 0.2, 0.27 + 0.2, 0.3 + 0.2], atol=1e-6)


def test_a_map_without_views_shows_its_colours() -> None:
    image = np.random.default_rng(0).random((3, 4, 3)).astype(np.float32)
    picture = Appearance.neutral().develop(image, np.ones((3, 4), np.float32), at(0))
    np.testing.assert_array_equal(picture, image)
