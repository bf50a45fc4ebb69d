"""SIFT features of an image (Lowe 2004), described by RootSIFT (Arandjelovic and Zisserman 2012)."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """Places in an image that can be found again in another.

    Attributes:
        pixels: [N, 2] float32 (x, y), largest first; the centre of the top-left pixel is (0, 0).
        descriptors: [N, 128] float32 of unit length; the dot product of two is their similarity.
    """

    pixels: Floats
    descriptors: Floats

    @staticmethod
    def none() -> "Features":
        """Return no features."""
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))

    def __len__(self) -> int:
        """Return N."""
        return len(self.pixels)


def extract_features(image: NDArray[np.uint8], most: int, contrast: float) -> Features:
    """Return the features of ``image`` ([H, W, 3] uint8 RGB), the same in every run.

    Args:
        image: at least a pixel.
        most: at most so many, the strongest.
        contrast: of a spot against its surroundings, under which it is no feature.
    """
    # Without the precise upscale every feature lies a quarter of a pixel off.
    detector = cv2.SIFT.create(nfeatures=most, contrastThreshold=contrast, enable_precise_upscale=True)
    keypoints, descriptors = detector.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if not keypoints or descriptors is None:
        return Features.none()
    # One place with two orientations stays two features: each can be the one that matches.
    pixels = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    order = np.argsort([-keypoint.size for keypoint in keypoints], kind="stable")[:most]
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return Features(pixels[order], np.sqrt(descriptors / total).astype(np.float32)[order])
