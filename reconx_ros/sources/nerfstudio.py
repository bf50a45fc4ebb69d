"""Cameras in Nerfstudio's ``transforms.json``: read, checked, and written.

Its poses are camera-to-world with OpenGL axes (x right, y up, z backward) and its pixel (0, 0) is
the corner of the top-left pixel; both are converted here. Reading never needs the images unless the
file leaves out their size.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SourceError
from reconx_ros.sources.fields import Fields, is_path, shown
from reconx_ros.sources.image_file import read_image
from reconx_ros.sources.intrinsics import CameraModel, Lens

Array = NDArray[np.float64]

OPENGL_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0, 1.0])

LENSES: dict[str, Lens] = {
    "PINHOLE": "polynomial",
    "SIMPLE_PINHOLE": "polynomial",
    "OPENCV": "polynomial",
    "OPENCV_FISHEYE": "fisheye",
}
"""Values of ``camera_model`` that are read."""


@dataclass(frozen=True, eq=False)
class PosedPhoto:
    """A frame of ``transforms.json``.

    Attributes:
        name: unique in the file.
        image: path of the image, which may not exist; ``None`` where the frame names none.
        depth: path of its depth, likewise.
        model: intrinsics, size and distortion.
        world_from_camera: [4, 4] float64, optical axes.
        depth_range: ``near`` and ``far`` of the frame (as datasets in the LLFF format have them), in the
            unit of the poses; ``None`` without.
    """

    name: str
    image: Path | None
    depth: Path | None
    model: CameraModel
    world_from_camera: Array
    depth_range: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Transforms:
    """What a ``transforms.json`` says.

    Attributes:
        photos: in the order of the file.
        depth_unit: metres to a unit of the depth files.
    """

    photos: tuple[PosedPhoto, ...]
    depth_unit: float


def load_cameras(path: Path) -> list[tuple[str, Camera]]:
    """Return name and camera of every frame of a ``transforms.json``; images need not exist.

    Raises:
        SourceError: the file cannot be read; one line names the field and the file.
    """
    cameras = []
    for photo in read_transforms(path).photos:
        model = photo.model
        camera = Camera(model.intrinsics, photo.world_from_camera, model.width, model.height)
        cameras.append((photo.name, camera))
    return cameras


def write_cameras(path: Path, cameras: Sequence[tuple[str, Camera]]) -> None:
    """Write names and cameras as a ``transforms.json`` that Nerfstudio and ``load_cameras`` read.

    Raises:
        OSError: the file cannot be written.
    """
    frames = [_frame(name, camera) for name, camera in cameras]
    path.write_text(json.dumps({"camera_model": "PINHOLE", "frames": frames}, indent=2) + "\n")


def _frame(name: str, camera: Camera) -> dict[str, Any]:
    return {
        "file_path": f"images/{name}.png",
        "w": camera.width,
        "h": camera.height,
        "fl_x": float(camera.intrinsics[0, 0]),
        "fl_y": float(camera.intrinsics[1, 1]),
        "cx": float(camera.intrinsics[0, 2]) + 0.5,
        "cy": float(camera.intrinsics[1, 2]) + 0.5,
        "transform_matrix": (camera.world_from_camera @ OPENGL_FROM_OPTICAL).tolist(),
    }


def read_transforms(path: Path) -> Transforms:
    """Read and check a ``transforms.json``.

    Raises:
        SourceError: not JSON, a field is missing or of the wrong kind; one line names it.
    """
    content = _load(path)
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise SourceError(f"{path}: frames must be a list of at least one frame")
    names = unique_names([frame.get("file_path") if isinstance(frame, dict) else None for frame in frames])
    size = {} if {"w", "h"} <= content.keys() else _first_size(frames, path.parent)
    photos = []
    for index, (frame, name) in enumerate(zip(frames, names, strict=True)):
        if not isinstance(frame, dict):
            raise SourceError(f"{path}: frames[{index}] must be an object, not {shown(frame)}")
        fields = Fields({**size, **content, **frame}, f"{path}: frames[{index}]")
        photos.append(_photo(fields, name, path.parent))
    unit = Fields(content, str(path)).number("depth_unit_scale_factor", 1e-3)
    if unit <= 0:
        raise SourceError(f"{path}: depth_unit_scale_factor = {unit:g} must be > 0")
    return Transforms(tuple(photos), unit)


def _first_size(frames: Sequence[Any], folder: Path) -> dict[str, int]:
    """Return w and h of the first image there is, for files that leave them out."""
    for frame in frames:
        name = frame.get("file_path") if isinstance(frame, dict) else None
        image = find_image(folder / name) if isinstance(name, str) and is_path(name) else None
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
        picture = None if image is None else read_image(image, flags)
        if picture is not None:
            return {"w": picture.shape[1], "h": picture.shape[0]}
    return {}


def find_image(path: Path) -> Path | None:
    """Return the file at ``path``, with an ending where it lacks one (as in Blender's scenes)."""
    for candidate in (path, path.with_name(path.name + ".png"), path.with_name(path.name + ".jpg")):
        with contextlib.suppress(OSError):  # a name that is too long
            if candidate.is_file():
                return candidate
    return None


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except (ValueError, RecursionError) as err:
        raise SourceError(f"{path} is not JSON: {' '.join(str(err).split())}") from err
    if not isinstance(content, dict):
        raise SourceError(f"{path} must hold a JSON object, not {shown(content)}")
    return content


def _photo(fields: Fields, name: str, folder: Path) -> PosedPhoto:
    return PosedPhoto(
        name,
        fields.path("file_path", folder),
        fields.path("depth_file_path", folder),
        _model(fields),
        _pose(fields),
        _depth_range(fields),
    )


def _depth_range(fields: Fields) -> tuple[float, float] | None:
    """Return near and far, if both are there and make a range."""
    near, far = fields.number("near", 0.0), fields.number("far", 0.0)
    return (near, far) if 0 < near < far else None


def _model(fields: Fields) -> CameraModel:
    """Return the camera of a frame; without a focal length it follows from the angle of view."""
    width, height = fields.side("w"), fields.side("h")
    if not width or not height:
        raise SourceError(f"{fields.where}: w and h are missing")
    fl_x = fields.focal("fl_x", "camera_angle_x", width)
    if fl_x is None:
        raise SourceError(f"{fields.where}: fl_x and camera_angle_x are missing; one of them must be > 0")
    fl_y = fields.focal("fl_y", "camera_angle_y", height) or fl_x
    cx, cy = fields.number("cx", width / 2), fields.number("cy", height / 2)
    intrinsics = np.array([[fl_x, 0, cx - 0.5], [0, fl_y, cy - 0.5], [0, 0, 1]])
    return CameraModel(intrinsics, width, height, *_distortion(fields))


def _distortion(fields: Fields) -> tuple[Lens, tuple[float, ...]]:
    name = fields.values.get("camera_model", "OPENCV")
    lens = LENSES.get(name) if isinstance(name, str) else None
    if lens is None:
        raise SourceError(
            f"{fields.where}: camera_model {shown(name)} is unknown; known: {', '.join(LENSES)}"
        )
    if fields.values.get("is_fisheye") is True:
        lens = "fisheye"
    k1, k2, k3, k4, p1, p2 = (fields.number(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if lens != "fisheye" and k4:  # Nerfstudio's factor of r^8, which OpenCV does not have
        raise SourceError(
            f"{fields.where}: k4 = {k4:g} of a perspective camera cannot be undone; undistort the images "
            "first, or fit k1, k2, k3, p1, p2 alone"
        )
    values = (k1, k2, k3, k4) if lens == "fisheye" else (k1, k2, p1, p2, k3)
    return lens, values if any(values) else ()


def _pose(fields: Fields) -> Array:
    """Return world_from_camera, its rotation made exact."""
    value = fields.values.get("transform_matrix")
    try:
        matrix = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        matrix = np.zeros(0)
    if matrix.shape not in ((3, 4), (4, 4)) or not np.isfinite(matrix).all():
        raise SourceError(
            f"{fields.where}: transform_matrix must be 4 x 4 finite numbers, not {shown(value)}"
        )
    if abs(matrix).max() > 1e9:
        raise SourceError(f"{fields.where}: transform_matrix has a value of {abs(matrix).max():g}")
    left, scales, right = np.linalg.svd(matrix[:3, :3])
    rotation = left @ right
    if abs(scales - 1).max() > 1e-2 or np.linalg.det(rotation) < 0:
        sizes = ", ".join(f"{scale:.3g}" for scale in scales)
        raise SourceError(
            f"{fields.where}: transform_matrix is no rotation (mirrored, or scales {sizes}, not 1)"
        )
    world_from_opengl = np.eye(4)
    world_from_opengl[:3, :3], world_from_opengl[:3, 3] = rotation, matrix[:3, 3]
    return np.asarray(world_from_opengl @ OPENGL_FROM_OPTICAL)


def unique_names(paths: Sequence[Any]) -> list[str]:
    """Return a name for each frame: the file's stem, or its whole path where stems repeat."""
    texts = [path.replace("\\", "/") if isinstance(path, str) else "" for path in paths]
    names = [_stem(text) if is_path(text) else "" for text in texts]
    if len(set(names)) < len(names):
        names = [
            "_".join(part for part in PurePosixPath(_cut(text)).parts if part not in ("/", ".."))
            for text in texts
        ]
    names = [name or f"{index:06d}" for index, name in enumerate(names)]
    if len(set(names)) < len(names):  # the same file twice
        names = [f"{name}_{index:06d}" for index, name in enumerate(names)]
    return names


def _stem(text: str) -> str:
    name = PurePosixPath(_cut(text)).name
    return "" if name == ".." else name


def _cut(text: str) -> str:
    """Return a path without the ending of an image file."""
    pure = PurePosixPath(text)
    return str(pure.with_suffix("")) if pure.suffix and pure.name != pure.suffix else text
