"""A folder of photos and nothing else: frames without poses, with a first guess of their focal length."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Intrinsics, Keyframe
from reconx_ros.sources.exif import focal_in_pixels
from reconx_ros.sources.image_file import read_image
from reconx_ros.sources.nerfstudio import unique_names
from reconx_ros.sources.protocol import SourceReport

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}

GUESSED_FOCAL = 1.2
"""Focal length per longer side where nothing is known: 45 degrees of view, between phone and camera."""

logger = logging.getLogger(__name__)


class ImageFolderSource:
    """Photos in the order of their names (``2.jpg`` before ``10.jpg``), upright as their EXIF data say.

    The focal length comes from ``K.txt`` (3 x 3, in pixels, one camera for all photos of the size that it
    fits), else from the EXIF data, else it is guessed; ``Keyframe.intrinsics`` says which.

    Args:
        path: the folder; photos lie in it, or in its folder ``images``.
    """

    metric = False
    posed = False

    def __init__(self, path: Path) -> None:
        self.report = SourceReport()
        self._folder = path
        self._files: list[Path] = []
        self._matrix: NDArray[np.float64] | None = None

    def __enter__(self) -> "ImageFolderSource":
        """List the photos.

        Raises:
            SourceError: there are none, or ``K.txt`` is not a calibration matrix.
        """
        self._files = find_photos(self._folder)
        if not self._files:
            raise SourceError(f"{self._folder} holds no photos ({', '.join(sorted(ENDINGS))})")
        calibration = self._folder / "K.txt"
        self._matrix = read_matrix(calibration) if calibration.is_file() else None
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing stays open between two photos."""

    def frames(self) -> Iterator[Keyframe]:
        """Yield the photos that can be read.

        Raises:
            SourceError: not one can be read.
        """
        self.report = SourceReport()
        for file, name in zip(self._files, unique_names([file.name for file in self._files]), strict=True):
            stored = read_image(file, cv2.IMREAD_COLOR)
            if stored is None:
                self._drop(file)
                continue
            self.report.frames += 1
            yield self._frame(name, file, np.ascontiguousarray(stored[..., ::-1], dtype=np.uint8))
        if self.report.frames == 0:
            raise SourceError(
                f"{self._folder}: none of {len(self._files)} photos can be read: {self.report.warnings[0]}"
            )

    def _frame(self, name: str, file: Path, image: NDArray[np.uint8]) -> Keyframe:
        height, width = image.shape[:2]
        matrix, worth = self._intrinsics(file, width, height)
        return Keyframe(
            name=name,
            stamp_ns=0,
            image=image,
            camera=Camera(matrix, np.eye(4), width, height),
            posed=False,
            intrinsics=worth,
        )

    def _intrinsics(self, file: Path, width: int, height: int) -> tuple[NDArray[np.float64], Intrinsics]:
        if self._matrix is not None and _fits(self._matrix, width, height):
            matrix = self._matrix.copy()
            matrix[:2, 2] -= 0.5  # such files count from the corner of the first pixel
            return matrix, "calibrated"
        known = focal_in_pixels(file, width, height)
        focal = known or GUESSED_FOCAL * max(width, height)
        matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return matrix, "prior" if known else "guessed"

    def _drop(self, file: Path) -> None:
        line = f"{file} cannot be read as an image"
        self.report.dropped["damaged image"] = self.report.dropped.get("damaged image", 0) + 1
        self.report.warnings.append(line)
        logger.warning(line)


def find_photos(folder: Path) -> list[Path]:
    """Return the photos of ``folder``, or of its folder ``images``, as a person would order their names.

    Raises:
        SourceError: the folder cannot be listed.
    """
    for place in (folder, folder / "images"):
        try:
            files = list(place.iterdir()) if place.is_dir() else []
        except OSError as err:
            raise SourceError(f"{place} cannot be read: {err.strerror or err}") from err
        photos = [f for f in files if f.suffix.lower() in ENDINGS and not f.name.startswith(".")]
        if photos:
            return sorted(photos, key=_natural)
    return []


def read_matrix(file: Path) -> NDArray[np.float64]:
    """Read a 3 x 3 calibration matrix in pixels.

    Raises:
        SourceError: not nine numbers of that form.
    """
    try:
        values = np.array([float(word) for word in file.read_text().replace(",", " ").split()])
    except (OSError, ValueError) as err:
        raise SourceError(f"{file} cannot be read as a 3 x 3 matrix: {err}") from err
    if values.size != 9 or not np.isfinite(values).all():
        raise SourceError(f"{file} holds {values.size} numbers; a 3 x 3 matrix of finite ones is wanted")
    matrix = values.reshape(3, 3)
    form = matrix.copy()
    form[(0, 0, 1, 1), (0, 2, 1, 2)] = 0
    if min(matrix[0, 0], matrix[1, 1]) <= 0 or np.abs(form - np.diag([0, 0, 1])).max() > 1e-6:
        raise SourceError(f"{file} must be fx 0 cx, 0 fy cy, 0 0 1 with fx, fy > 0")
    return matrix


def _fits(matrix: NDArray[np.float64], width: int, height: int) -> bool:
    """Return whether the principal point is near the middle: the matrix is of an image of this size."""
    middle = np.array([width, height]) / 2
    return bool((np.abs(matrix[:2, 2] - middle) < 0.1 * max(width, height)).all())


def _natural(file: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", file.name.lower())
    return [(0, int(part), "") if part.isdecimal() and len(part) < 19 else (1, 0, part) for part in parts]
