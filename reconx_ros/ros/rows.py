"""Points and Gaussians as packed rows, the bytes of a ``sensor_msgs/PointCloud2``, and back.

Points (``~/points`` in the camera optical frame, ``~/map_points`` in the map frame), 24 or 28 bytes:

| field | type | meaning |
|---|---|---|
| x, y, z | float32 | metres |
| rgb | float32 | the bits of 0x00RRGGBB, as RViz and PCL read it |
| confidence | float32 | [0, 1] |
| provenance | uint8 | 0 observed, 1 generated |
| id | uint32 | in the map only: the number the point keeps for life |

Gaussians (``~/gaussians``, map frame) carry *activated* values, ready to draw:

| field | type | meaning |
|---|---|---|
| x, y, z, rgb, confidence, provenance | as above | rgb: the colour of degree 0, for viewers |
| opacity | float32 | [0, 1] (a sigmoid was applied) |
| scale_x, scale_y, scale_z | float32 | standard deviations in metres (an exponential was applied) |
| rot_x, rot_y, rot_z, rot_w | float32 | unit quaternion, map from Gaussian axes |
| f_dc_0 .. 2 | float32 | spherical harmonics of degree 0, red green blue; colour = 0.5 + 0.28209 f_dc |
| f_rest_0 .. | float32 | higher degrees, all of red, then green, then blue (INRIA order) |
| id | uint32 | the number the Gaussian keeps for life |

Distance fields (``~/distance_field``, map frame), 16 bytes a known voxel: x, y, z of its centre and, as
Voxblox and nvblox have it, ``intensity``: metres to the nearest obstacle, negative in obstacles.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.splatting.gaussians import GaussianMap

Rows = NDArray[np.void]

POINT_TYPE = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "confidence", "provenance"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "<f4", "u1"],
        "offsets": [0, 4, 8, 12, 16, 20],
        "itemsize": 24,
    }
)
CLOUD_TYPE = np.dtype(
    {
        "names": [*(POINT_TYPE.names or ()), "id"],
        "formats": ["<f4", "<f4", "<f4", "<f4", "<f4", "u1", "<u4"],
        "offsets": [0, 4, 8, 12, 16, 20, 24],
        "itemsize": 28,
    }
)
FIELD_TYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4")])
_SH_DC = 0.28209479177387814
_POSITION = ("x", "y", "z")
_SCALES = ("scale_x", "scale_y", "scale_z")
_ROTATION = ("rot_x", "rot_y", "rot_z", "rot_w")


def gaussian_type(sh_count: int) -> np.dtype[np.void]:
    """Return the row type of Gaussians with ``sh_count`` = (degree + 1)^2 coefficients a channel."""
    names = ["opacity", *_SCALES, *_ROTATION, *(f"f_dc_{i}" for i in range(3))]
    names += [f"f_rest_{i}" for i in range(3 * (sh_count - 1))]
    start = POINT_TYPE.itemsize
    return np.dtype(
        {
            "names": [*(POINT_TYPE.names or ()), *names, "id"],
            "formats": ["<f4"] * 5 + ["u1"] + ["<f4"] * len(names) + ["<u4"],
            "offsets": [0, 4, 8, 12, 16, 20] + [start + 4 * i for i in range(len(names) + 1)],
            "itemsize": start + 4 * (len(names) + 1),
        }
    )


def field_rows(origin: NDArray[np.float64], voxel_size: float, distance: NDArray[np.float32]) -> Rows:
    """Return the known voxels of a distance field as [N] rows of ``FIELD_TYPE``.

    Args:
        origin: [3] metres, the lowest corner.
        voxel_size: metres.
        distance: [X, Y, Z] metres, NaN unknown.
    """
    known = ~np.isnan(distance)
    rows = np.zeros(int(np.count_nonzero(known)), FIELD_TYPE)
    centres = origin + (np.argwhere(known) + 0.5) * voxel_size
    for axis, name in enumerate(_POSITION):
        rows[name] = centres[:, axis]
    rows["intensity"] = distance[known]
    return rows


def point_rows(
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    provenance: NDArray[np.uint8],
    ids: NDArray[np.int64] | None = None,
) -> Rows:
    """Return [N] rows of ``POINT_TYPE``, or ``CLOUD_TYPE`` where ``ids`` are given.

    Args:
        points: [N, 3] metres.
        colors: [N, 3] RGB.
        confidence: [N] in [0, 1].
        provenance: [N].
        ids: [N] below 2^32.
    """
    rows = np.zeros(len(points), POINT_TYPE if ids is None else CLOUD_TYPE)
    if ids is not None:
        rows["id"] = ids
    _fill_points(rows, points, colors, confidence, provenance)
    return rows


def gaussian_rows(gaussians: GaussianMap, ids: NDArray[np.int64] | None = None) -> Rows:
    """Return [N] rows of ``gaussian_type``: the activated values of ``gaussians``.

    Args:
        gaussians: N of them.
        ids: [N] below 2^32; numbered from 0 where ``None``.
    """
    rows = np.zeros(len(gaussians), gaussian_type(gaussians.sh.shape[1]))
    rows["id"] = np.arange(len(gaussians)) if ids is None else ids
    dc = gaussians.sh[:, 0]
    _fill_points(rows, gaussians.means, _dc_colors(dc), gaussians.confidence, gaussians.provenance)
    rows["opacity"] = 1 / (1 + np.exp(-gaussians.opacity_logits))
    _put(rows, _SCALES, np.exp(gaussians.log_scales))
    norm = np.linalg.norm(gaussians.quaternions_wxyz, axis=1, keepdims=True)
    _put(rows, _ROTATION, np.roll(gaussians.quaternions_wxyz / np.maximum(norm, 1e-12), -1, axis=1))
    _put(rows, [f"f_dc_{i}" for i in range(3)], dc)
    rest = gaussians.sh[:, 1:].transpose(0, 2, 1).reshape(len(rows), 3 * (gaussians.sh.shape[1] - 1))
    _put(rows, [f"f_rest_{i}" for i in range(rest.shape[1])], rest)
    return rows


def joined(parts: Sequence[Rows]) -> Rows:
    """Return rows of one type one after another; ``np.concatenate`` would drop the type's padding."""
    whole = np.zeros(sum(map(len, parts)), parts[0].dtype)
    begin = 0
    for part in parts:
        whole[begin : begin + len(part)] = part
        begin += len(part)
    return whole


def refresh_rgb(rows: Rows) -> None:
    """Set ``rgb`` of Gaussian rows to what their ``f_dc`` say, in place."""
    rows["rgb"] = _packed_rgb(_dc_colors(_get(rows, [f"f_dc_{i}" for i in range(3)])))


def gaussians_from_rows(rows: Rows) -> GaussianMap:
    """Return the (unactivated) Gaussians of ``rows``, the inverse of ``gaussian_rows``."""
    names = rows.dtype.names or ()
    rest = _get(rows, [name for name in names if name.startswith("f_rest_")])
    dc = _get(rows, [f"f_dc_{i}" for i in range(3)])
    higher = rest.reshape(len(rows), 3, rest.shape[1] // 3).transpose(0, 2, 1)
    opacity = np.clip(rows["opacity"].astype(np.float64), 1e-7, 1 - 1e-7)
    return GaussianMap(
        means=_get(rows, _POSITION),
        log_scales=np.log(np.maximum(_get(rows, _SCALES), 1e-12)),
        quaternions_wxyz=np.roll(_get(rows, _ROTATION), 1, axis=1),
        opacity_logits=np.log(opacity / (1 - opacity)).astype(np.float32),
        sh=np.concatenate([dc[:, None], higher], axis=1),
        confidence=rows["confidence"].copy(),
        provenance=rows["provenance"].copy(),
    )


def colors_of(rows: Rows) -> NDArray[np.uint8]:
    """Return the [N, 3] RGB colours of ``rows``."""
    packed = np.ascontiguousarray(rows["rgb"]).view(np.uint32)
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)


def _fill_points(
    rows: Rows,
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    provenance: NDArray[np.uint8],
) -> None:
    _put(rows, _POSITION, points)
    rows["rgb"] = _packed_rgb(colors)
    rows["confidence"] = confidence
    rows["provenance"] = provenance


def _dc_colors(dc: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(0.5 + _SH_DC * dc, 0, 1) * 255 + 0.5, dtype=np.uint8)


def _packed_rgb(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    wide = colors.astype(np.uint32)
    return (wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).view(np.float32)


def _put(rows: Rows, names: list[str] | tuple[str, ...], values: NDArray[np.float32]) -> None:
    for column, name in enumerate(names):
        rows[name] = values[:, column]


def _get(rows: Rows, names: list[str] | tuple[str, ...]) -> NDArray[np.float32]:
    out = np.empty((len(rows), len(names)), np.float32)
    for column, name in enumerate(names):
        out[:, column] = rows[name]
    return out
