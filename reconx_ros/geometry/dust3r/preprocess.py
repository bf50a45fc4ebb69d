"""From a keyframe to what the network takes, and from its pointmap back to the keyframe's own pixels."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.dust3r.model import Architecture
from reconx_ros.keyframes.keyframe import Keyframe

Floats = NDArray[np.float32]

SAME_SURFACE = 0.02
"""Relative distance up to which a blend of four points lies on the surface of the nearest one."""


@dataclass(frozen=True, eq=False)
class Window:
    """How a keyframe's pixels lie in the network's image: resized as a whole, then cropped.

    Attributes:
        width: pixels of the keyframe.
        height: pixels of the keyframe.
        resized: width and height after resizing.
        left: columns cut off on the left after that.
        top: rows cut off at the top.
        size: width and height of what is left: the network's image.
    """

    width: int
    height: int
    resized: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]

    @staticmethod
    def of(width: int, height: int, architecture: Architecture) -> "Window":
        """Return the window of the keyframes of one size.

        With a DPT head the long side becomes ``resolution`` and both sides are cut to multiples of the
        patch; a square is cut to 4:3, as the network has never seen one. With a linear head the short
        side becomes ``resolution`` and the middle square stays.

        Raises:
            GeometryError: nothing would be left.
        """
        most, patch = architecture.resolution, architecture.patch
        side = max(width, height) if architecture.head == "dpt" else min(width, height)
        resized = (round(width * most / side), round(height * most / side))
        if architecture.head == "linear":
            size = (most - most % patch, most - most % patch)
        else:
            size = (resized[0] - resized[0] % patch, resized[1] - resized[1] % patch)
            if resized[0] == resized[1]:
                size = (size[0], 3 * size[0] // 4 - 3 * size[0] // 4 % patch)
        if min(size) < patch:
            raise GeometryError(
                f"an image of {width} x {height} pixels is too narrow for DUSt3R: resized to {resized[0]} "
                f"x {resized[1]}, a side of at least {patch} pixels must be left"
            )
        left, top = ((whole - part) // 2 for whole, part in zip(resized, size, strict=True))
        return Window(width, height, resized, left, top, size)

    def camera(self, camera: Camera) -> Camera:
        """Return the camera of the network's image: ``camera`` resized and cropped, exactly."""
        resized = camera.resized(*self.resized)
        intrinsics = resized.intrinsics.copy()
        intrinsics[:2, 2] -= (self.left, self.top)
        return replace(resized, intrinsics=intrinsics, width=self.size[0], height=self.size[1])

    def image(self, image: NDArray[np.uint8]) -> Floats:
        """Return the network's image [3, h, w] in [-1, 1] of ``image`` [H, W, 3]."""
        shrinks = self.resized[0] < self.width
        how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
        resized = np.asarray(Image.fromarray(image).resize(self.resized, how), dtype=np.float32)
        right, bottom = self.left + self.size[0], self.top + self.size[1]
        cropped = resized[self.top : bottom, self.left : right]
        return np.ascontiguousarray((cropped / 127.5 - 1).transpose(2, 0, 1))

    def back(self, points: Floats, confidence: Floats) -> tuple[Floats, Floats]:
        """Bring a pointmap of the network's image to the keyframe's pixels.

        Points are blended bilinearly where the blend stays on one surface, else the nearest is taken.

        Args:
            points: [h, w, 3].
            confidence: [h, w], C >= 1.

        Returns:
            points [H, W, 3], NaN in what was cropped, and confidence [H, W], 1 there.
        """
        columns = (np.arange(self.width) + 0.5) * self.resized[0] / self.width - 0.5 - self.left
        rows = (np.arange(self.height) + 0.5) * self.resized[1] / self.height - 0.5 - self.top
        x, y = (part.astype(np.float32) for part in np.meshgrid(columns, rows))
        both = np.concatenate([points, confidence[..., None]], axis=2)
        border = cv2.BORDER_REPLICATE
        blend = cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=border)
        nearest = cv2.remap(both, np.rint(x), np.rint(y), cv2.INTER_NEAREST, borderMode=border)
        apart = np.linalg.norm(blend[..., :3] - nearest[..., :3], axis=2)
        same = apart <= SAME_SURFACE * np.linalg.norm(nearest[..., :3], axis=2)
        found = np.where(same[..., None], blend, nearest)
        outside = (x < -0.5) | (y < -0.5) | (x > self.size[0] - 0.5) | (y > self.size[1] - 0.5)
        found[outside] = (np.nan, np.nan, np.nan, 1.0)
        return found[..., :3], np.maximum(found[..., 3], 1.0)


def window_of(keyframe: Keyframe, architecture: Architecture) -> Window:
    """Return the window of ``keyframe`` (``Window.of``)."""
    return Window.of(keyframe.camera.width, keyframe.camera.height, architecture)
