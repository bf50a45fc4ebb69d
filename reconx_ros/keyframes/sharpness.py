"""Blur: how sharp an image is, and whether that is normal for the recording."""

from collections import deque
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 320
"""Pixels to which an image is reduced first: blur that matters is still seen, and noise is not."""


def sharpness(image: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian over the squared mean grey value.

    The division makes the figure independent of exposure.

    Args:
        image: [H, W, 3] uint8 RGB.
    """
    height, width = image.shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        # Nearest rows and columns first: averaging all of a large image costs more than it tells.
        step = max(1, width // (2 * WIDTH))
        image = cv2.resize(image[::step, ::step], size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1].item()
    return float(deviation / max(cv2.mean(grey)[0], 1.0)) ** 2


class BlurDetector:
    """Compares each frame with the running median of the frames just before it."""

    def __init__(self, min_sharpness: float, window: int = 15) -> None:
        """Create a detector.

        Args:
            min_sharpness: share of the median under which a frame is blurred; 0 never.
            window: frames the median is taken over, the current one included. All frames count,
                blurred ones too: after a turn toward a plain wall the median follows.
        """
        self._min_sharpness = min_sharpness
        self._recent: deque[float] = deque(maxlen=window)

    def blurred(self, image: NDArray[np.uint8]) -> bool:
        """Return whether ``image`` ([H, W, 3] uint8 RGB) is blurred; remembers its sharpness."""
        value = sharpness(image)
        self._recent.append(value)
        return value < self._min_sharpness * median(self._recent)
