import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reconx_ros.keyframes.sharpness import BlurDetector, sharpness


@pytest.fixture
def image() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (60, 80, 3), dtype=np.uint8)
    return cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_NEAREST)


def test_blur_lowers_and_exposure_keeps_it(image: NDArray[np.uint8]) -> None:
    sharp = sharpness(image)
    motion = cv2.blur(image, (25, 1))
    assert sharpness(motion) < 0.5 * sharp
    assert sharpness(cv2.blur(image, (45, 45))) < 0.1 * sharp
    assert sharpness((image // 2).astype(np.uint8)) == pytest.approx(sharp, rel=0.1)


def test_it_matches_the_definition_on_an_image_that_is_not_reduced() -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    padded = np.pad(grey, 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * grey
    assert sharpness(image) == pytest.approx(laplacian.var() / grey.mean() ** 2, rel=1e-9)


def test_a_blurred_frame_among_sharp_ones_is_found_and_a_plain_wall_is_accepted_in_time(
    image: NDArray[np.uint8],
) -> None:
    detector = BlurDetector(0.5, window=5)
    blurred = cv2.blur(image, (45, 45))
    assert [detector.blurred(i) for i in (image, image, blurred, image)] == [False, False, True, False]
    assert [detector.blurred(blurred) for _ in range(6)][-3:] == [False] * 3


def test_zero_turns_it_off_and_black_is_no_error(image: NDArray[np.uint8]) -> None:
    detector = BlurDetector(0)
    assert not any(detector.blurred(i) for i in (image, np.zeros_like(image)))
