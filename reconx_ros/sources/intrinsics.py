"""Camera models with distortion, as ``camera_info`` and ``transforms.json`` state them, undone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError

Array = NDArray[np.float64]
Lens = Literal["polynomial", "fisheye"]

LENSES: dict[str, Lens] = {
    "plumb_bob": "polynomial",
    "rational_polynomial": "polynomial",
    "thin_prism": "polynomial",
    "equidistant": "fisheye",
    "fisheye": "fisheye",
}
"""Distortion models of ``camera_info`` and OpenCV's model that undoes each."""

_LENGTHS = {"polynomial": (4, 5, 8, 12, 14), "fisheye": (4,)}


class CalibrationError(SourceError):
    """A camera's calibration is missing, incomplete, or of another image than it comes with."""


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A camera with lens distortion.

    Attributes:
        intrinsics: [3, 3] float64, pixels; the centre of the top-left pixel is (0, 0).
        width: pixels; 0 where the calibration does not say.
        height: pixels; 0 where the calibration does not say.
        lens: OpenCV's model of the distortion.
        distortion: coefficients in OpenCV's order; empty where there is no distortion.
    """

    intrinsics: Array
    width: int
    height: int
    lens: Lens = "polynomial"
    distortion: tuple[float, ...] = ()

    def check_size(self, width: int, height: int, what: str) -> None:
        """Raise ``CalibrationError`` where an image has another size than the calibration."""
        if self.width and (width, height) != (self.width, self.height):
            stated = f"{self.width} x {self.height}"
            raise CalibrationError(f"{what} is {width} x {height}, but its camera_info says {stated}")


def camera_model(
    width: int,
    height: int,
    k: Sequence[float],
    d: Sequence[float],
    distortion_model: str,
    p: Sequence[float] = (),
    rectified: bool = False,
    binning: tuple[int, int] = (1, 1),
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
    what: str = "camera_info",
) -> CameraModel:
    """Return the camera of an image from the plain fields of its ``camera_info``.

    Args:
        width: of the whole sensor, pixels.
        height: of the whole sensor, pixels.
        k: 9 values, the intrinsics of the raw image on the whole sensor.
        d: distortion coefficients of the raw image.
        distortion_model: a name of ``LENSES``, or empty where ``d`` is zero.
        p: 12 values, the projection of the rectified image.
        rectified: whether the image is rectified already (``image_rect``): then ``p`` holds for it.
        binning: sensor pixels to an image pixel along x and y; 0 means 1.
        roi: x offset, y offset, width, height in sensor pixels; width 0 means the whole sensor.
        what: the name for error messages, e.g. the topic.

    Raises:
        CalibrationError: the focal length is zero, or the distortion is not known here.
    """
    intrinsics = np.array(k, dtype=np.float64).reshape(-1)
    projection = np.array(p, dtype=np.float64).reshape(-1)
    if rectified and projection.size == 12 and projection[0] > 0:
        intrinsics = projection.reshape(3, 4)[:, :3].reshape(-1)
    if intrinsics.size != 9 or not np.isfinite(intrinsics).all() or min(intrinsics[0], intrinsics[4]) <= 0:
        raise CalibrationError(
            f"{what}: K = {_shown(intrinsics)}; an uncalibrated camera, fx and fy must be > 0"
        )
    lens, distortion = ("polynomial", ()) if rectified else _lens(distortion_model, d, what)
    matrix, size = _crop(intrinsics.reshape(3, 3), (width, height), binning, roi)
    return CameraModel(matrix, *size, lens, distortion)


def _lens(name: str, d: Sequence[float], what: str) -> tuple[Lens, tuple[float, ...]]:
    values = tuple(float(value) for value in d)
    if not any(values):
        return "polynomial", ()
    lens = LENSES.get(name)
    if lens is None:
        known = ", ".join(LENSES)
        raise CalibrationError(f"{what}: distortion model '{name}' is unknown; known: {known}")
    if len(values) not in _LENGTHS[lens] or not np.isfinite(values).all():
        wanted = " or ".join(map(str, _LENGTHS[lens]))
        raise CalibrationError(f"{what}: {name} takes {wanted} finite coefficients, not {_shown(values)}")
    return lens, values


def _crop(
    matrix: Array, size: tuple[int, int], binning: tuple[int, int], roi: tuple[int, int, int, int]
) -> tuple[Array, tuple[int, int]]:
    """Return the intrinsics and the size of an image cut from the sensor and then binned."""
    bins = np.maximum(binning, 1)
    if roi[2] and roi[3]:
        size = (roi[2], roi[3])
    cropped = matrix.copy()
    cropped[0, 1] /= bins[0]
    cropped[(0, 1), (0, 1)] /= bins
    cropped[:2, 2] = (matrix[:2, 2] - roi[:2] + 0.5) / bins - 0.5  # a binned pixel's centre is its middle
    return cropped, (int(size[0] // bins[0]), int(size[1] // bins[1]))


def _shown(values: Sequence[float] | Array) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


class Undistorter:
    """Resamples images of one camera to the pinhole camera of the same intrinsics and size."""

    def __init__(self, model: CameraModel, width: int, height: int) -> None:
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        if model.distortion:
            self._maps = self._make_maps(model, (width, height))

    @staticmethod
    def _make_maps(
        model: CameraModel, size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        build = (
            cv2.fisheye.initUndistortRectifyMap if model.lens == "fisheye" else cv2.initUndistortRectifyMap
        )
        matrix, distortion = model.intrinsics, np.array(model.distortion)
        first, second = build(matrix, distortion, np.eye(3), matrix, size, cv2.CV_32FC1)
        return first, second

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the undistorted [H, W, 3] image; what the camera did not see repeats its border."""
        if self._maps is None:
            return image
        undistorted = cv2.remap(image, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(undistorted, dtype=np.uint8)

    def depth(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the undistorted [H, W] depth, never mixed across an edge; NaN outside."""
        if self._maps is None:
            return depth
        nan = float("nan")
        mode = cv2.BORDER_CONSTANT
        undistorted = cv2.remap(depth, *self._maps, cv2.INTER_NEAREST, borderMode=mode, borderValue=nan)
        return np.asarray(undistorted, dtype=np.float32)
