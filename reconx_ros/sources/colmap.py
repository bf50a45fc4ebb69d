"""A COLMAP folder as posed frames: cameras and images of a sparse model, text or binary.

COLMAP's poses are camera from world with optical axes, its pixel (0, 0) is the corner of the top-left
pixel; both are converted here.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError
from reconx_ros.sources.colmap_model import ModelCamera, ModelImage, read_cameras, read_images
from reconx_ros.sources.fields import MAX_SIDE, is_path
from reconx_ros.sources.intrinsics import CameraModel, Lens
from reconx_ros.sources.nerfstudio import PosedPhoto, Transforms, unique_names
from reconx_ros.sources.rigid import matrix_from_pose

Params = tuple[float, ...]

MODEL_PLACES = (".", "sparse/0", "sparse", "colmap/sparse/0", "distorted/sparse/0")
IMAGE_PLACES = ("images", "input", ".", "../images", "../../images", "../input", "../../input")


def find_model(folder: Path) -> Path | None:
    """Return the folder inside ``folder`` that holds a sparse model, if any."""
    for place in MODEL_PLACES:
        for ending in (".bin", ".txt"):
            if all((folder / place / f"{name}{ending}").is_file() for name in ("cameras", "images")):
                return folder / place
    return None


def read_colmap(folder: Path) -> Transforms:
    """Read the sparse model in ``folder`` as posed photos, in the order of their names.

    Raises:
        SourceError: no model, a damaged one, or a camera model that cannot be undistorted here.
    """
    model = find_model(folder)
    if model is None:
        raise SourceError(f"{folder} holds no COLMAP model (cameras and images, .bin or .txt)")
    ending = ".bin" if (model / "cameras.bin").is_file() else ".txt"
    cameras = read_cameras(model / f"cameras{ending}")
    images = sorted(read_images(model / f"images{ending}"), key=lambda image: image.name)
    if not images:
        raise SourceError(f"{model / f'images{ending}'} lists no images")
    where = _image_folder(folder, images)
    names = unique_names([image.name for image in images])
    models: dict[int, CameraModel] = {}
    photos = []
    for image, name in zip(images, names, strict=True):
        if image.camera_id not in models:
            models[image.camera_id] = _camera_model(cameras, image, model)
        file = where / image.name if is_path(image.name) else None
        photos.append(PosedPhoto(name, file, None, models[image.camera_id], _pose(image, model), None))
    return Transforms(tuple(photos), 1e-3)


def _image_folder(folder: Path, images: list[ModelImage]) -> Path:
    """Return the folder that holds most of the first images; ``images`` where none does."""
    first = [image.name for image in images[:20] if is_path(image.name)]
    held = {place: sum((folder / place / name).is_file() for name in first) for place in IMAGE_PLACES}
    best = max(IMAGE_PLACES, key=lambda place: held[place])
    return folder / (best if held[best] else "images")


def _camera_model(cameras: Mapping[int, ModelCamera], image: ModelImage, model: Path) -> CameraModel:
    camera = cameras.get(image.camera_id)
    if camera is None:
        raise SourceError(
            f"{model}: image {image.name} names camera {image.camera_id}, which does not exist"
        )
    where = f"{model}: camera {image.camera_id}"
    if not (0 < camera.width <= MAX_SIDE and 0 < camera.height <= MAX_SIDE):
        raise SourceError(f"{where} is {camera.width} x {camera.height} pixels")
    focal, centre, lens, distortion = _split(camera, where)
    if not np.isfinite(camera.params).all() or min(focal) <= 0:
        raise SourceError(f"{where}: parameters {camera.params} must be finite, with focal lengths > 0")
    matrix = np.array([[focal[0], 0, centre[0] - 0.5], [0, focal[1], centre[1] - 0.5], [0, 0, 1]])
    return CameraModel(matrix, camera.width, camera.height, lens, distortion if any(distortion) else ())


def _split(camera: ModelCamera, where: str) -> tuple[Params, Params, Lens, Params]:
    """Return focal lengths, principal point, lens and its coefficients in OpenCV's order."""
    values = camera.params
    simple = camera.model in (
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE",
    )
    focal = (values[0], values[0]) if simple else values[:2]
    centre, rest = (values[1:3], values[3:]) if simple else (values[2:4], values[4:])
    if camera.model in ("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE"):
        return focal, centre, "fisheye", (*rest, 0.0, 0.0, 0.0)[:4]
    if camera.model in ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV"):
        return focal, centre, "polynomial", (*rest, *[0.0] * 8)[:8]
    raise SourceError(
        f"{where}: model {camera.model} cannot be undistorted here; use 'colmap image_undistorter'"
    )


def _pose(image: ModelImage, model: Path) -> NDArray[np.float64]:
    values = np.array([*image.quaternion_wxyz, *image.translation])
    length = float(np.linalg.norm(values[:4])) if np.isfinite(values).all() else 0.0
    if not 0.5 < length < 2 or np.abs(values[4:]).max() > 1e9:
        raise SourceError(f"{model}: image {image.name} has no valid pose: {image.quaternion_wxyz}")
    w, x, y, z = values[:4] / length
    camera_from_world = matrix_from_pose(values[4:], np.array([x, y, z, w]))
    rotation = camera_from_world[:3, :3]
    pose = np.eye(4)
    pose[:3, :3] = rotation.T
    pose[:3, 3] = -rotation.T @ camera_from_world[:3, 3]
    return pose
