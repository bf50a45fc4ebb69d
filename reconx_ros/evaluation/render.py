"""A finished map at given cameras: one picture each."""

import logging
from pathlib import Path

from reconx_ros.camera import Camera
from reconx_ros.mapping.appearance import read_appearance
from reconx_ros.mapping.folder import check_writable, load_map
from reconx_ros.progress import Progress, Silent
from reconx_ros.sources.nerfstudio import PosedPhoto, read_transforms
from reconx_ros.splatting.rasterize import Backend, render_view
from reconx_ros.viewer.png import write_png

logger = logging.getLogger(__name__)


def render_cameras(
    folder: Path,
    cameras_json: Path,
    output: Path,
    backend: Backend = "auto",
    progress: Progress | None = None,
) -> list[Path]:
    """Render the map in ``folder`` at every camera of a Nerfstudio file.

    A camera with lens distortion is rendered as the pinhole of its intrinsics, with one warning.

    Args:
        folder: of a reconstruction, or a splat PLY file.
        cameras_json: ``transforms.json`` or the ``cameras.json`` of a run folder.
        output: gets one PNG a camera, of the camera's size, named like its frame.
        backend: the rasterizer.
        progress: told about each picture; asked whether to stop.

    Returns:
        The files written, in the order of the cameras.

    Raises:
        ReconxError: no map, unreadable cameras, or a folder that cannot be written.
    """
    gaussians, appearance = load_map(folder), read_appearance(folder)
    photos = read_transforms(cameras_json).photos
    check_writable(output)
    _warn_of_distortion(photos, cameras_json)
    progress, files = progress or Silent(), list[Path]()
    for photo in photos:
        if progress.cancelled():
            break
        camera = _pinhole(photo)
        image, _, alpha = render_view(gaussians, camera, backend)
        image = appearance.develop(image, alpha, camera)
        files.append(write_png(output / f"{photo.name}.png", image))
        progress.update("render", len(files), len(photos))
    return files


def _pinhole(photo: PosedPhoto) -> Camera:
    model = photo.model
    return Camera(model.intrinsics, photo.world_from_camera, model.width, model.height)


def _warn_of_distortion(photos: tuple[PosedPhoto, ...], file: Path) -> None:
    distorted = [photo.name for photo in photos if any(photo.model.distortion)]
    if distorted:
        logger.warning(
            "%s: %d of %d cameras have lens distortion (first: %s); their pictures are those of a pinhole",
            file,
            len(distorted),
            len(photos),
            distorted[0],
        )
