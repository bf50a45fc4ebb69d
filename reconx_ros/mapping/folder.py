"""The run folder: what a reconstruction leaves on disk, written whole or not at all.

``map.ply`` (Gaussians), ``cloud.ply`` (points), ``cameras.json`` (Nerfstudio), ``appearance.json``
(exposures), ``config.yaml`` (as used), ``report.json``, and ``distance_field.npz`` where
``mapping.distance_field.voxel_size`` asks for it. Everything is written aside first and
renamed at the end, so that a full disk or a kill leaves the map that was there before.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconx_ros.config import ReconxConfig, dump_config
from reconx_ros.errors import MapError
from reconx_ros.mapping.appearance import read_appearance, write_appearance
from reconx_ros.mapping.ply import read_cloud, read_gaussians, read_map, write_cloud, write_gaussians
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.sources.nerfstudio import write_cameras
from reconx_ros.splatting.gaussians import GaussianMap

FIELD = "distance_field.npz"


def check_writable(folder: Path) -> None:
    """Create ``folder`` if need be and make sure that files can be written there.

    Raises:
        MapError: the folder cannot be made or written; called before the work, not after it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as err:
        raise MapError(f"output folder {folder} is not writable: {err.strerror or err}") from err


def save(reconstruction: Reconstruction, folder: Path, config: ReconxConfig) -> Path:
    """Save ``reconstruction`` into ``folder``, replacing an older one; return ``folder``.

    Raises:
        MapError: it cannot be written (permissions, disk full); what was there is intact.
    """
    check_writable(folder)
    try:
        with _aside(folder) as aside:
            write_gaussians(aside / "map.ply", reconstruction.gaussians, reconstruction.evidence)
            write_cloud(aside / "cloud.ply", reconstruction.cloud)
            write_cameras(aside / "cameras.json", [(k.name, k.camera) for k in reconstruction.keyframes])
            write_appearance(aside / "appearance.json", reconstruction.appearance)
            (aside / "config.yaml").write_text(dump_config(config))
            report = _report(reconstruction) | _write_field(aside, reconstruction, config)
            (aside / "report.json").write_text(json.dumps(report, indent=2) + "\n")
            stale = not (aside / FIELD).exists()
        if stale:
            (folder / FIELD).unlink(missing_ok=True)  # of the map that was there before
    except OSError as err:
        raise MapError(
            f"map cannot be saved to {folder}: {err.strerror or err}; the old map is intact"
        ) from err
    return folder


def load(folder: Path) -> Reconstruction:
    """Load what ``save`` wrote (the keyframes' images are not part of it).

    Raises:
        MapError: no map there, or a damaged one.
    """
    gaussians, evidence = read_map(_map_file(folder))
    cloud = read_cloud(folder / "cloud.ply")
    report = _read_report(folder)
    metric = bool(report.get("metric", True))
    return Reconstruction(gaussians, cloud, (), metric, read_appearance(folder), report, evidence)


def load_map(folder: Path) -> GaussianMap:
    """Load the Gaussians of a run folder, or of a splat PLY file itself.

    Raises:
        MapError: no map there, or a damaged one.
    """
    return read_gaussians(_map_file(folder))


def _map_file(folder: Path) -> Path:
    file = folder / "map.ply" if folder.is_dir() else folder
    if not file.is_file():
        raise MapError(f"{folder} holds no map: map.ply is not there (give the folder of a reconstruction)")
    return file


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Give a temporary folder inside ``folder``; on success move its files up, one rename each."""
    aside = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))
    try:
        yield aside
        for file in sorted(aside.iterdir()):
            _flush(file)
        for file in sorted(aside.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_field(aside: Path, reconstruction: Reconstruction, config: ReconxConfig) -> dict[str, Any]:
    """Write the distance field where one is wanted; return what the report says of it."""
    wanted = config.mapping.distance_field
    if not wanted.voxel_size:
        return {}
    from reconx_ros.mapping.distance_field import FREE, OCCUPIED, distance_field  # noqa: PLC0415  (scipy)
    from reconx_ros.mapping.field_file import write_field  # noqa: PLC0415

    try:
        field = distance_field(reconstruction.cloud, reconstruction.keyframes, wanted)
    except MapError as err:  # the map itself is worth keeping
        return {"distance_field": {"missing": str(err)}}
    write_field(aside / FIELD, field)
    kinds = {"free": FREE, "occupied": OCCUPIED}
    counts = {name: int((field.occupancy == kind).sum()) for name, kind in kinds.items()}
    return {"distance_field": {"voxel_size": field.voxel_size, **counts}}


def _flush(file: Path) -> None:
    """Force ``file`` to the disk: a full disk shows here, before anything is replaced."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _report(reconstruction: Reconstruction) -> dict[str, Any]:
    return {
        "metric": reconstruction.metric,
        "gaussians": len(reconstruction.gaussians),
        "points": len(reconstruction.cloud),
        "keyframes": [k.name for k in reconstruction.keyframes],
        "stamps_ns": [k.stamp_ns for k in reconstruction.keyframes],
        **reconstruction.report,
    }


def _read_report(folder: Path) -> dict[str, Any]:
    file = folder / "report.json"
    try:
        report = json.loads(file.read_text()) if file.is_file() else {}
    except (OSError, ValueError) as err:
        raise MapError(f"{file} cannot be read: {err}") from err
    return report if isinstance(report, dict) else {}
