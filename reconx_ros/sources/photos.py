"""Photos with their cameras, from a ``transforms.json`` or a COLMAP model, as posed frames."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.encodings import DamagedImageError
from reconx_ros.sources.image_file import read_image
from reconx_ros.sources.intrinsics import CalibrationError, CameraModel, Undistorter
from reconx_ros.sources.nerfstudio import PosedPhoto, Transforms, find_image, read_transforms
from reconx_ros.sources.protocol import SourceReport

logger = logging.getLogger(__name__)


class PhotoSource:
    """Photos whose cameras are listed, in the order of the list, undistorted.

    Metric where depth images are named, whose unit is stated; else the scale is unknown.

    Args:
        path: a folder with ``transforms.json``, the file itself, or what ``read`` takes.
        read: reads the cameras.
    """

    posed = True

    def __init__(self, path: Path, read: Callable[[Path], Transforms] = read_transforms) -> None:
        self.report = SourceReport()
        self.metric = False
        self._read = read
        self._file = path / "transforms.json" if path.is_dir() and read is read_transforms else path
        self._transforms: Transforms | None = None
        self._undistorters: dict[tuple[object, ...], Undistorter] = {}

    def __enter__(self) -> "PhotoSource":
        """Read the cameras.

        Raises:
            SourceError: the file cannot be read; the message names the field.
        """
        self._transforms = self._read(self._file)
        self.metric = any(photo.depth is not None for photo in self._transforms.photos)
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing stays open between two frames."""

    def frames(self) -> Iterator[Keyframe]:
        """Yield the frames whose image exists.

        Raises:
            SourceError: not one image can be read, or an image has another size than its camera.
        """
        if self._transforms is None:
            raise SourceError(f"{self._file} is not open; use it as a context manager")
        self.report = SourceReport()
        present = [(photo, image) for photo in self._transforms.photos if (image := _image_of(photo))]
        self._tell_missing({photo.name for photo, _ in present})
        for photo, image in present:
            try:
                frame = self._frame(photo, image, self._transforms.depth_unit)
            except DamagedImageError as err:
                self._drop("damaged image", 1, str(err))
                continue
            self.report.frames += 1
            yield frame
        if self.report.frames == 0:
            why = self.report.warnings[0] if self.report.warnings else "it names no images"
            raise SourceError(f"{self._file}: no image can be read: {why}")

    def _frame(self, photo: PosedPhoto, path: Path, depth_unit: float) -> Keyframe:
        """Read one photo, and its depth where there is one."""
        stored = read_image(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if stored is None:
            raise DamagedImageError(f"{path} cannot be read as an image")
        height, width = stored.shape[:2]
        model = photo.model
        if (width, height) != (model.width, model.height):
            stated = f"{model.width} x {model.height}"
            raise CalibrationError(
                f"{path} is {width} x {height}, but its camera in {self._file.name} is {stated} pixels"
            )
        undistorter = self._undistorter(model)
        depth = None if photo.depth is None else _depth(photo.depth, depth_unit, width, height)
        return Keyframe(
            name=photo.name,
            stamp_ns=0,
            image=undistorter.image(np.ascontiguousarray(stored[..., ::-1], dtype=np.uint8)),
            camera=Camera(model.intrinsics, photo.world_from_camera, width, height),
            depth=None if depth is None else undistorter.depth(depth),
            depth_range=photo.depth_range,
        )

    def _undistorter(self, model: CameraModel) -> Undistorter:
        """Return the undistorter of a camera; the last one serves again, for most files have one."""
        key = (model.intrinsics.tobytes(), model.width, model.height, model.lens, model.distortion)
        if key not in self._undistorters:
            self._undistorters = {key: Undistorter(model, model.width, model.height)}
        return self._undistorters[key]

    def _tell_missing(self, present: set[str]) -> None:
        assert self._transforms is not None
        missing = [photo for photo in self._transforms.photos if photo.name not in present]
        if missing:
            first = ", ".join(
                photo.name if photo.image is None else photo.image.name for photo in missing[:3]
            )
            more = ", ..." if len(missing) > 3 else ""
            total = len(self._transforms.photos)
            line = f"{self._file}: {len(missing)} of {total} frames have no image file ({first}{more})"
            self._drop("missing image", len(missing), line)

    def _drop(self, reason: str, count: int, line: str) -> None:
        self.report.dropped[reason] = self.report.dropped.get(reason, 0) + count
        self.report.warnings.append(line)
        logger.warning(line)


def _image_of(photo: PosedPhoto) -> Path | None:
    return None if photo.image is None else find_image(photo.image)


def _depth(path: Path, unit: float, width: int, height: int) -> NDArray[np.float32] | None:
    """Return depth in metres at the size of the image, NaN where unknown; ``None`` without a file."""
    if not path.is_file():
        return None
    try:
        stored = np.load(path) if path.suffix == ".npy" else read_image(path, cv2.IMREAD_UNCHANGED)
    except (OSError, ValueError, EOFError) as err:
        raise DamagedImageError(f"{path} cannot be read as depth: {' '.join(str(err).split())}") from err
    if stored is None or stored.ndim != 2 or stored.dtype.kind not in "uif" or stored.size == 0:
        raise DamagedImageError(f"{path} cannot be read as depth: one number a pixel is wanted")
    depth = np.asarray(stored, dtype=np.float32) * np.float32(unit)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return np.asarray(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.float32)
