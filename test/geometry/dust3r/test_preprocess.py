import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.dust3r.model import Architecture
from reconx_ros.geometry.dust3r.preprocess import Window

DPT, LINEAR = Architecture(), Architecture(head="linear", resolution=224)


def camera_of(width: int, height: int) -> Camera:
    intrinsics = np.array([[0.8 * width, 0, 0.45 * width], [0, 0.85 * width, 0.55 * height], [0, 0, 1.0]])
    return Camera(intrinsics, np.eye(4), width, height)


def tilted_plane(camera: Camera) -> NDArray[np.float32]:
    """Points [H, W, 3] of the plane z = 2 + 0.3 x + 0.2 y."""
    rays = camera.rays()
    depth = 2 / (1 - rays @ np.array([0.3, 0.2, 0.0]))
    return (rays * depth[..., None]).astype(np.float32)


@pytest.mark.parametrize(
    ("size", "architecture", "expected"),
    [
        ((640, 480), DPT, (512, 384)),
        ((320, 240), DPT, (512, 384)),
        ((480, 640), DPT, (384, 512)),
        ((1920, 1080), DPT, (512, 288)),
        ((1008, 756), DPT, (512, 384)),
        ((600, 600), DPT, (512, 384)),
        ((640, 480), LINEAR, (224, 224)),
        ((480, 640), LINEAR, (224, 224)),
    ],
)
def test_the_networks_image(
    size: tuple[int, int], architecture: Architecture, expected: tuple[int, int]
) -> None:
    window = Window.of(*size, architecture)
    assert window.size == expected
    image = np.full((size[1], size[0], 3), 255, np.uint8)
    image[..., 1] = 0
    made = window.image(image)
    assert made.shape == (3, expected[1], expected[0])
    assert made.dtype == np.float32
    assert [float(channel.mean()) for channel in made] == pytest.approx([1, -1, 1])


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 900), st.integers(60, 900), st.sampled_from([DPT, LINEAR]))
def test_intrinsics_follow_the_pixels_exactly(width: int, height: int, architecture: Architecture) -> None:
    window = Window.of(width, height, architecture)
    camera = camera_of(width, height)
    made = window.camera(camera)
    assert (made.width, made.height) == window.size
    assert all(side % 16 == 0 for side in window.size)
    points = np.random.default_rng(0).uniform([-1, -1, 1], [1, 1, 4], (50, 3))
    before, after = camera.project(points)[0], made.project(points)[0]
    scale = np.array(window.resized) / (width, height)
    assert np.allclose((before + 0.5) * scale - 0.5 - (window.left, window.top), after, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(70, 700), st.integers(70, 500), st.sampled_from([DPT, LINEAR]))
def test_a_plane_comes_back_to_the_keyframes_pixels(
    width: int, height: int, architecture: Architecture
) -> None:
    window, camera = Window.of(width, height, architecture), camera_of(width, height)
    seen = tilted_plane(window.camera(camera))
    points, confidence = window.back(seen, np.full(seen.shape[:2], 3.0, np.float32))
    known = np.isfinite(points[..., 2])
    assert (confidence[known] == 3).all()
    assert (confidence[~known] == 1).all()
    kept = np.prod(window.size) / np.prod(window.resized)
    assert known.mean() == pytest.approx(kept, abs=0.03)
    # Within half a pixel of the crop's border the outermost point stands for its neighbours.
    inner = cv2.erode(known.astype(np.uint8), np.ones((3, 3))).astype(bool)
    error = np.linalg.norm(points - tilted_plane(camera), axis=2)[inner]
    assert error.max() < 0.02
    assert np.median(error) < 2e-4  # remap rounds positions to 1/32 pixel


def test_edges_stay_sharp() -> None:
    window = Window.of(256, 192, DPT)
    camera = window.camera(camera_of(256, 192))
    depth = np.where(np.arange(512) < 255, 1.0, 3.0).astype(np.float32)
    points = camera.unproject(np.broadcast_to(depth, (384, 512)))
    back, _ = window.back(points, np.ones((384, 512), np.float32))
    assert set(np.unique(np.round(back[..., 2], 3))) == {1.0, 3.0}


def test_a_strip_is_refused() -> None:
    with pytest.raises(GeometryError, match="2000 x 40 pixels is too narrow"):
        Window.of(2000, 40, DPT)
