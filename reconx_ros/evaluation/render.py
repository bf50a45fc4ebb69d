"""A finished map at given cameras: one picture each."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.mapping.folder import check_writable, load_map
from reconx_ros.progress import Progress, Silent
from reconx_ros.sources.nerfstudio import load_cameras
from reconx_ros.splatting.rasterize import Backend, render_view
from reconx_ros.viewer.png import write_png


def render_cameras(
    folder: Path,
    cameras_json: Path,
    output: Path,
    backend: Backend = "auto",
    progress: Progress | None = None,
) -> list[Path]:
    """Render the map in ``folder`` at every camera of a Nerfstudio file.

    A camera with lens distortion is rendered as the pinhole of its intrinsics.

    Args:
        folder: of a reconstruction, or a splat PLY file.
        cameras_json: ``transforms.json`` or the ``cameras.json`` of a run folder.
        output: gets one PNG a camera, of the camera's size, named like its frame.
        backend: the rasterizer.
        progress: told about each picture; asked whether to stop.

    Returns:
        The files written, in the order of the cameras.

    Raises:
        ReconxError: no map, unreadable cameras, two frames of one name, or a folder that cannot be
            written.
    """
    gaussians, cameras = load_map(folder), load_cameras(cameras_json)
    _check_names([name for name, _ in cameras], cameras_json)
    check_writable(output)
    progress, files = progress or Silent(), []
    for name, camera in cameras:
        if progress.cancelled():
            break
        image, _, _ = render_view(gaussians, camera, backend)
        files.append(write_png(output / f"{name}.png", image))
        progress.update("render", len(files), len(cameras))
    return files


def _check_names(names: Sequence[str], file: Path) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise SourceError(f"{file} has two frames named {repeated[0]}; pictures are named like frames")
