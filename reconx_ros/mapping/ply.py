"""Gaussians and clouds as PLY files.

``map.ply`` has the layout of the original 3DGS release (INRIA): log scales, logit opacity, wxyz
quaternions, ``f_rest`` channel-major, so that any splat viewer opens it; ``confidence`` (float,
[0, 1]) and ``provenance`` (uchar, 0 observed, 1 generated) follow as extra properties that viewers
skip. A map without them loads as observed with confidence 1. Where mapping may go on,
``point_confidence`` and ``evidence`` (float) say what the confidence comes of (``splatting/evidence.py``).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import OBSERVED, PointCloud, map_confidence
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap

Table = NDArray[Any]
_XYZ = ("x", "y", "z")
_NORMAL = ("nx", "ny", "nz")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_EVIDENCE = ("point_confidence", "evidence")
_REST_OF_DEGREE = {0: 0, 1: 9, 2: 24, 3: 45}


def write_gaussians(path: Path, gaussians: GaussianMap, evidence: Evidence | None = None) -> None:
    """Write ``gaussians`` in the INRIA layout with confidence, provenance, and ``evidence`` if known.

    Raises:
        OSError: the file cannot be written (disk full, no permission).
    """
    rest = gaussians.sh[:, 1:].transpose(0, 2, 1).reshape(len(gaussians), 3 * (gaussians.sh.shape[1] - 1))
    rest_names = [f"f_rest_{i}" for i in range(rest.shape[1])]
    names = [*_XYZ, *_NORMAL, *_DC, *rest_names, "opacity", *_SCALE, *_ROTATION]
    table = _empty(len(gaussians), names if evidence is None else [*names, *_EVIDENCE])
    _fill(table, _XYZ, gaussians.means)
    _fill(table, _DC, gaussians.sh[:, 0])
    _fill(table, rest_names, rest)
    table["opacity"] = gaussians.opacity_logits
    _fill(table, _SCALE, gaussians.log_scales)
    _fill(table, _ROTATION, gaussians.quaternions_wxyz)
    table["confidence"], table["provenance"] = gaussians.confidence, gaussians.provenance
    if evidence is not None:
        _fill(table, _EVIDENCE, np.stack([evidence.point, evidence.settled], axis=1))
    _write(path, table)


def read_gaussians(path: Path) -> GaussianMap:
    """Read a splat PLY of the INRIA layout, ours or another program's.

    Raises:
        MapError: no such file, no PLY, a property missing, or a value that is not finite.
    """
    return read_map(path)[0]


def read_map(path: Path) -> tuple[GaussianMap, Evidence | None]:
    """Read the same, and what its confidence comes of where the file says so.

    Raises:
        MapError: as ``read_gaussians``.
    """
    table = _read(path)
    _require(path, table, (*_XYZ, *_DC, "opacity", *_SCALE, *_ROTATION))
    return _gaussians(path, table), _evidence(path, table)


def _gaussians(path: Path, table: Table) -> GaussianMap:
    return GaussianMap(
        means=_columns(path, table, _XYZ),
        log_scales=_columns(path, table, _SCALE),
        quaternions_wxyz=_columns(path, table, _ROTATION),
        opacity_logits=_columns(path, table, ("opacity",))[:, 0],
        sh=_read_sh(path, table),
        confidence=_optional(path, table, "confidence", 1.0),
        provenance=_optional(path, table, "provenance", OBSERVED).astype(np.uint8),
    )


def _evidence(path: Path, table: Table) -> Evidence | None:
    if not set(_EVIDENCE) <= set(table.dtype.names or ()):
        return None
    point, settled = _columns(path, table, _EVIDENCE).T
    return Evidence(np.clip(point, 0, 1), np.maximum(settled, 0), np.zeros_like(settled))


def write_cloud(path: Path, cloud: PointCloud) -> None:
    """Write ``cloud`` with colour, normal, confidence in [0, 1], provenance and view count.

    Raises:
        OSError: the file cannot be written.
    """
    table = _empty(
        len(cloud), [*_XYZ, *_NORMAL], [("red", "u1"), ("green", "u1"), ("blue", "u1"), ("views", "i4")]
    )
    _fill(table, _XYZ, cloud.points)
    _fill(table, _NORMAL, cloud.normals)
    _fill(table, ("red", "green", "blue"), cloud.colors)
    table["confidence"], table["provenance"] = map_confidence(cloud.confidence), cloud.provenance
    table["views"] = cloud.views
    _write(path, table)


def save_cloud(path: Path, cloud: PointCloud) -> None:
    """Write ``cloud`` as ``write_cloud`` does.

    Raises:
        MapError: the file cannot be written.
    """
    try:
        write_cloud(path, cloud)
    except OSError as err:
        raise MapError(f"cloud cannot be written to {path}: {err.strerror or err}") from err


def read_cloud(path: Path) -> PointCloud:
    """Read a cloud that ``write_cloud`` wrote.

    Raises:
        MapError: no such file, no PLY, a property missing, or a value that is not finite.
    """
    table = _read(path)
    _require(path, table, (*_XYZ, *_NORMAL, "red", "green", "blue", "confidence", "provenance", "views"))
    confidence = np.clip(_columns(path, table, ("confidence",))[:, 0], 0.0, 1.0 - 1e-6)
    return PointCloud(
        points=_columns(path, table, _XYZ),
        colors=np.stack([table[c] for c in ("red", "green", "blue")], axis=1).astype(np.uint8),
        normals=_columns(path, table, _NORMAL),
        confidence=(1.0 / (1.0 - confidence)).astype(np.float32),
        provenance=np.array(table["provenance"], dtype=np.uint8),
        views=np.array(table["views"], dtype=np.int32),
    )


def _empty(rows: int, floats: list[str], others: list[tuple[str, str]] | None = None) -> Table:
    kinds = [(name, "f4") for name in floats] + (others or [])
    return np.zeros(rows, dtype=[*kinds, ("confidence", "f4"), ("provenance", "u1")])


def _fill(table: Table, names: tuple[str, ...] | list[str], values: NDArray[Any]) -> None:
    for column, name in enumerate(names):
        table[name] = values[:, column]


def _write(path: Path, table: Table) -> None:
    PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(str(path))


def _read(path: Path) -> Table:
    try:
        table: Table = PlyData.read(str(path))["vertex"].data
    except (OSError, PlyParseError, KeyError, ValueError, UnicodeDecodeError) as err:
        raise MapError(
            f"{path} cannot be read as a PLY map: {' '.join(str(err).split()) or 'no vertices'}"
        ) from err
    return table


def _require(path: Path, table: Table, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in (table.dtype.names or ())]
    if missing:
        raise MapError(f"{path} lacks the properties {', '.join(missing)} that this kind of map has")


def _columns(path: Path, table: Table, names: tuple[str, ...] | list[str]) -> NDArray[np.float32]:
    values = np.stack([table[name] for name in names], axis=1).astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).all(axis=1)))
        raise MapError(f"{path}: {'/'.join(names)} of row {row} is not finite; the file is damaged")
    return values


def _optional(path: Path, table: Table, name: str, default: float) -> NDArray[np.float32]:
    if name not in (table.dtype.names or ()):
        return np.full(len(table), default, dtype=np.float32)
    return _columns(path, table, (name,))[:, 0]


def _read_sh(path: Path, table: Table) -> NDArray[np.float32]:
    dc = _columns(path, table, _DC)[:, None, :]
    count = sum(name.startswith("f_rest_") for name in table.dtype.names or ())
    if count not in _REST_OF_DEGREE.values():
        raise MapError(f"{path} has {count} f_rest properties; 0, 9, 24 or 45 make spherical harmonics")
    if count == 0:
        return dc
    rest = _columns(path, table, [f"f_rest_{i}" for i in range(count)])
    return np.concatenate([dc, rest.reshape(len(dc), 3, count // 3).transpose(0, 2, 1)], axis=1)
