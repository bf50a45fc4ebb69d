import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconx_ros.camera import Camera
from reconx_ros.diffusion.wan.clips import film_size, padded, windows
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.structure.trajectory import Trajectory, takes_of

from .tiny import camera, clip


@given(st.integers(1, 300), st.integers(1, 10), st.data())
def test_windows_cover_a_clip_and_share_what_was_asked(frames: int, k: int, data: st.DataObject) -> None:
    length = 4 * k + 1
    overlap = data.draw(st.integers(1, length - 1))
    found = windows(frames, length, overlap)
    assert found[0].start == 0
    assert found[-1].stop == frames
    for window in found:
        size = window.stop - window.start + window.padding
        assert size % 4 == 1
        assert size <= length
    for before, after in itertools.pairwise(found):
        assert after.shared == before.stop - after.start >= overlap
        assert after.stop > before.stop
        assert after.start > before.start
        assert after.padding == 0


def test_padding_holds_the_last_camera() -> None:
    cameras = [camera(0.1 * number) for number in range(7)]
    (window,) = windows(7, 33, 5)
    assert padded(cameras, window) == [*cameras, cameras[-1], cameras[-1]]


@given(st.integers(40, 2000), st.integers(40, 2000), st.integers(1024, 500_000))
def test_a_film_is_of_about_the_size_asked_and_its_rays_are_the_cameras(
    width: int, height: int, pixels: int
) -> None:
    intrinsics = np.array([[500.0, 0, width / 2 - 3], [0, 480.0, height / 2 + 1], [0, 0, 1]])
    whole = Camera(intrinsics, np.eye(4), width, height)
    across, down = film_size(whole, pixels)
    assert across % 16 == down % 16 == 0
    exact = np.sqrt(pixels / (width * height))
    assert abs(across - max(16, width * exact)) <= 8.001
    assert abs(down - max(16, height * exact)) <= 8.001
    # The corners of the image, half a pixel out, stay where they are.
    film = whole.resized(across, down)
    for corner in (0, 1):
        inside = np.array([corner * width - 0.5, corner * height - 0.5, 1])
        outside = np.array([corner * across - 0.5, corner * down - 0.5, 1])
        rays = np.linalg.inv(whole.intrinsics) @ inside, np.linalg.inv(film.intrinsics) @ outside
        np.testing.assert_allclose(rays[0], rays[1], atol=1e-9)


def test_clips_of_a_trajectory_are_filmed_apart() -> None:
    cameras = tuple(camera(0.1 * number) for number in range(6))
    assert takes_of(Trajectory(cameras, (clip(0, 4), clip(3, 6)))) == [(0, 4), (3, 6)]
    assert takes_of(Trajectory(cameras)) == [(0, 6)]
    assert takes_of(Trajectory(())) == []


def test_impossible_windows_are_refused_with_what_would_do() -> None:
    with pytest.raises(ValidationError, match="window 32 is not 4k \\+ 1: take 29 or 33"):
        WanConfig(window=32)
    with pytest.raises(ValidationError, match="overlap 9 leaves a window of 9 no new frame"):
        WanConfig(window=9, overlap=9)
