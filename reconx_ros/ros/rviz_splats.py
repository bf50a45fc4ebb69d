"""Gaussians as RVizSplat reads them: ``gsplat_msgs/SplatArray``, serialised here, without a loop.

Its display subscribes to one latched, reliable message: of each splat a ``PoseWithCovarianceStamped``
(position, unit quaternion, and the 3x3 covariance of the Gaussian in square metres in the upper left
of the 6x6), opacity in 0..255, the degree of its spherical harmonics, and their coefficients red,
green, blue, one degree-0 triple first. A message object for each splat takes seconds for a map; so
the bytes of the message (CDR, little-endian) are laid out with NumPy.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import ConfigError
from reconx_ros.ros.rows import Rows

_ENCAPSULATION = b"\x00\x01\x00\x00"
"""Plain CDR, little-endian; alignment counts from behind it."""


def splat_array_type() -> Any:  # noqa: ANN401
    """Return the message type.

    Raises:
        ConfigError: the package is not installed.
    """
    try:
        return importlib.import_module("gsplat_msgs.msg").SplatArray
    except (ImportError, AttributeError) as err:
        raise ConfigError(
            "rviz_splats is set, but the package gsplat_msgs, which comes with RVizSplat, is not installed"
        ) from err


def splat_array_bytes(rows: Rows, frame_id: str, stamp_ns: int) -> bytes:
    """Return a serialised ``gsplat_msgs/SplatArray``.

    Args:
        rows: [N] of ``gaussian_type``.
        frame_id: of every splat.
        stamp_ns: of every splat.
    """
    frame = frame_id.encode() + b"\0"
    rest = [name for name in rows.dtype.names or () if name.startswith("f_rest_")]
    body = bytearray(np.uint32(len(rows)).tobytes())
    runs = list(_runs(len(rows), len(frame), 3 + len(rest)))
    body.extend(bytes(sum(kind.itemsize * len(rows[part]) for kind, part, _, _ in runs)))
    for kind, part, start, stride in runs:
        mine = rows[part]
        _fill(np.ndarray(len(mine), kind, body, start, (stride,)), mine, frame, stamp_ns, rest)
    return _ENCAPSULATION + bytes(body)


def _runs(
    count: int, frame_length: int, floats: int
) -> Iterator[tuple[np.dtype[np.void], slice, int, int]]:
    """Give the splats in runs of one layout: layout, which, first byte, and bytes from one to the next.

    Numbers of 8 bytes are aligned, so a splat's layout depends on where it starts modulo 8, which is
    4 or 0: behind the count of splats at 4.
    """
    first, second = (_splat_type(start, frame_length, floats) for start in (4, 0))
    if first.itemsize % 8 == 0:  # every splat starts as the first did
        runs = [(first, slice(None), 4, first.itemsize)]
    elif second.itemsize % 8 == 0:  # every one but the first starts at 0
        runs = [(first, slice(1), 4, first.itemsize)]
        runs += [(second, slice(1, None), 4 + first.itemsize, second.itemsize)]
    else:
        both = first.itemsize + second.itemsize
        runs = [(first, slice(0, None, 2), 4, both)]
        runs += [(second, slice(1, None, 2), 4 + first.itemsize, both)]
    yield from runs[:count]


def _splat_type(start: int, frame_length: int, floats: int) -> np.dtype[np.void]:
    """Return the layout of a splat whose first byte lies at ``start`` modulo 8."""
    fields: list[tuple[str, Any, int]] = []
    at = start

    def put(name: str, kind: Any, size: int, alignment: int) -> None:  # noqa: ANN401
        nonlocal at
        at += -at % alignment
        fields.append((name, kind, at - start))
        at += size

    put("sec", "<i4", 4, 4)
    put("nanosec", "<u4", 4, 4)
    put("frame_length", "<u4", 4, 4)
    put("frame", f"S{frame_length}", frame_length, 1)
    put("position", ("<f8", 3), 24, 8)
    put("orientation", ("<f8", 4), 32, 8)
    put("covariance", ("<f8", (6, 6)), 288, 8)
    put("opacity", "u1", 1, 1)
    put("degree", "u1", 1, 1)
    put("count", "<u4", 4, 4)
    put("harmonics", ("<f4", floats), 4 * floats, 4)
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": at - start})


def _fill(splats: NDArray[np.void], rows: Rows, frame: bytes, stamp_ns: int, rest: list[str]) -> None:
    splats["sec"], splats["nanosec"] = divmod(stamp_ns, 10**9)
    splats["frame_length"], splats["frame"] = len(frame), frame
    splats["position"] = _columns(rows, ("x", "y", "z"))
    quaternions = _columns(rows, ("rot_x", "rot_y", "rot_z", "rot_w"))
    splats["orientation"] = quaternions
    scales = _columns(rows, ("scale_x", "scale_y", "scale_z"))
    splats["covariance"][:, :3, :3] = _covariances(quaternions, scales)
    splats["opacity"] = np.rint(255 * rows["opacity"].astype(np.float64)).clip(0, 255)
    triples = len(rest) // 3
    splats["degree"], splats["count"] = round((triples + 1) ** 0.5) - 1, 3 + len(rest)
    splats["harmonics"][:, :3] = _columns(rows, ("f_dc_0", "f_dc_1", "f_dc_2"))
    higher = _columns(rows, tuple(rest)).reshape(len(rows), 3, triples)
    splats["harmonics"][:, 3:] = higher.transpose(0, 2, 1).reshape(len(rows), 3 * triples)


def _covariances(quaternions_xyzw: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R diag(s^2) R^T [N, 3, 3] of unit quaternions [N, 4] and standard deviations [N, 3]."""
    x, y, z, w = quaternions_xyzw.T
    axes = np.empty((len(x), 3, 3))
    axes[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=1)
    axes[:, 1] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=1)
    axes[:, 2] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    spread = axes * scales[:, None]
    return np.asarray(spread @ spread.transpose(0, 2, 1))


def _columns(rows: Rows, names: tuple[str, ...]) -> NDArray[np.float64]:
    return np.stack([rows[name] for name in names], axis=1).astype(np.float64) if names else _none(rows)


def _none(rows: Rows) -> NDArray[np.float64]:
    return np.empty((len(rows), 0))
