import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.evaluation.calibration import Calibration, confidence_map
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.initialise import SH_C0
from reconx_ros.splatting.rasterize import render_view

WIDTH, HEIGHT = 48, 32
CAMERA = Camera(np.array([[40.0, 0, 23.5], [0, 40.0, 15.5], [0, 0, 1]]), np.eye(4), WIDTH, HEIGHT)


def wall(confidence: np.ndarray) -> GaussianMap:
    """A grey wall at 2 m, one opaque disc a pixel; ``confidence`` [H, W]."""
    points = CAMERA.unproject(np.full((HEIGHT, WIDTH), 2, np.float32)).reshape(-1, 3)
    count = len(points)
    return GaussianMap(
        points,
        np.full((count, 3), np.log(0.03), np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (count, 1)),
        np.full(count, 5, np.float32),
        np.zeros((count, 1, 3), np.float32),
        confidence.reshape(-1).astype(np.float32),
        np.zeros(count, np.uint8),
    )


def truth(depth: np.ndarray, brightness: float = 0.5) -> Keyframe:
    image = np.full((HEIGHT, WIDTH, 3), round(255 * brightness), np.uint8)
    return Keyframe("a", 0, image, CAMERA, depth.astype(np.float32))


def picture(gaussians: GaussianMap) -> np.ndarray:
    image, _, _ = render_view(gaussians, CAMERA)
    return image


def test_confidence_is_compared_with_how_often_depth_is_right() -> None:
    left = np.arange(WIDTH) < WIDTH // 2
    gaussians = wall(np.where(left, 0.95, 0.25) * np.ones((HEIGHT, 1)))
    depth = np.full((HEIGHT, WIDTH), 2.0)
    depth[: HEIGHT // 4, ~left] = 2.05  # right within 5 %
    depth[HEIGHT // 4 :, ~left] = 3.0  # wrong
    calibration = Calibration()
    calibration.add(gaussians, picture(gaussians), truth(depth), ("cpu", "cpu"))
    low, high = calibration.bins()[0], calibration.bins()[-1]
    assert (high.low, high.right) == (0.9, pytest.approx(1.0))
    assert high.confidence == pytest.approx(0.95, abs=0.01)
    assert low.low == pytest.approx(0.2)
    assert low.right == pytest.approx(0.25, abs=0.04)
    figures = calibration.json()
    assert figures is not None
    assert figures["pixels"] == sum(b["pixels"] for b in figures["bins"]) > 0.8 * WIDTH * HEIGHT
    assert figures["expected_error"] < 0.12


def test_a_wrong_colour_is_wrong_and_unknown_depth_says_nothing() -> None:
    gaussians = wall(np.full((HEIGHT, WIDTH), 0.9))
    depth = np.full((HEIGHT, WIDTH), 2.0)
    depth[:, ::2] = np.nan
    calibration = Calibration()
    calibration.add(gaussians, picture(gaussians), truth(depth, 0.7), ("cpu", "cpu"))
    assert sum(b.pixels for b in calibration.bins()) <= WIDTH * HEIGHT / 2
    assert all(b.right == 0 for b in calibration.bins())
    assert all(b.colour_error == pytest.approx(0.2, abs=0.01) for b in calibration.bins())


def test_nothing_measured_gives_nothing() -> None:
    gaussians = wall(np.full((HEIGHT, WIDTH), 0.9))
    view = truth(np.full((HEIGHT, WIDTH), 2.0))
    calibration = Calibration()
    blind = Keyframe(view.name, 0, view.image, CAMERA)
    calibration.add(gaussians, picture(gaussians), blind, ("cpu", "cpu"))
    assert calibration.bins() == []
    assert calibration.json() is None


def test_the_confidence_map_shows_confidence() -> None:
    shown = confidence_map(wall(np.full((HEIGHT, WIDTH), 0.3)))
    np.testing.assert_allclose(0.5 + SH_C0 * shown.sh[:, 0], 0.3, atol=1e-6)
