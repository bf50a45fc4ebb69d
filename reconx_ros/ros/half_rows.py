"""Rows for a slow link, and back: half the bytes and less, positions exact.

| field | type on the link | error |
|---|---|---|
| x, y, z; id; provenance; rgb of points | as they are | 0 |
| confidence, opacity | 8 bits of [0, 1] | 0.002 |
| scales, rotation, f_dc | float16 | 0.0005 of it |
| f_rest | 8 bits of [-s, s], s = ``rest_scale``, the largest of the row, float16 | 0.004 s |

``rgb`` of Gaussians follows from f_dc and does not travel.
"""

import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from reconx_ros.ros.rows import CLOUD_TYPE, Rows, gaussian_type, refresh_rgb

_TYPES = {
    "<f4": PointField.FLOAT32,
    "|u1": PointField.UINT8,
    "|i1": PointField.INT8,
    "<u4": PointField.UINT32,
    "<f2": PointField.UINT16,
}
_EXACT = ("x", "y", "z", "id", "provenance")
_SHARES = ("confidence", "opacity")
_SCALE = "rest_scale"


def half_message(rows: Rows) -> PointCloud2:
    """Return rows of ``CLOUD_TYPE`` or ``gaussian_type`` as a message of half their size or less.

    float16 travels in UINT16 fields.
    """
    kind = _half_type(rows.dtype)
    half = np.zeros(len(rows), kind)
    rest = _rest(rows.dtype)
    for name in set(kind.names or ()) - {_SCALE, *rest}:
        if name in _SHARES:
            half[name] = np.rint(255 * np.clip(rows[name], 0, 1))
        else:
            half[name] = rows[name].view(np.uint32) if name == "rgb" else rows[name]
    if rest:
        _pack_rest(half, rows, rest)
    data = array.array("B")
    data.frombytes(half.tobytes())
    fields: Any = kind.fields
    return PointCloud2(
        header=Header(),
        height=1,
        width=len(rows),
        point_step=kind.itemsize,
        row_step=kind.itemsize * len(rows),
        fields=[
            PointField(name=name, offset=fields[name][1], datatype=_TYPES[fields[name][0].str], count=1)
            for name in kind.names or ()
        ],
        data=data,
        is_dense=True,
    )


def rows_from_half(message: PointCloud2) -> Rows:
    """Return the rows of ``half_message``.

    Raises:
        ValueError: the message is not laid out as ``half_message`` does.
    """
    names = [field.name for field in message.fields]
    count = sum(name.startswith(("f_dc_", "f_rest_")) for name in names) // 3
    full = gaussian_type(count) if count else CLOUD_TYPE
    kind = _half_type(full)
    if names != list(kind.names or ()) or message.point_step != kind.itemsize:
        raise ValueError(f"rows of {message.point_step} bytes with fields {names[:6]}... are not known")
    half = np.frombuffer(message.data, kind, count=message.width)
    rows = np.zeros(len(half), full)
    scale = half[_SCALE].astype(np.float32) / 127 if _SCALE in names else np.float32(0)
    for name in set(names) - {_SCALE}:
        if name in _SHARES:
            rows[name] = half[name] / np.float32(255)
        elif name.startswith("f_rest_"):
            rows[name] = half[name] * scale
        else:
            rows[name] = half[name].view(np.float32) if name == "rgb" else half[name]
    if count:
        refresh_rgb(rows)
    return rows


def half_size(kind: np.dtype[np.void]) -> int:
    """Return the bytes that a row of ``CLOUD_TYPE`` or ``gaussian_type`` takes on the link."""
    return _half_type(kind).itemsize


def _pack_rest(half: NDArray[np.void], rows: Rows, rest: list[str]) -> None:
    largest = np.zeros(len(rows), np.float32)
    for name in rest:
        np.maximum(largest, np.abs(rows[name]), out=largest)
    half[_SCALE] = np.minimum(largest * np.float32(1.0005), 65_000)  # float16 may round it down
    step = np.maximum(half[_SCALE].astype(np.float32), np.float32(1e-7)) / 127
    for name in rest:
        half[name] = np.rint(np.clip(rows[name] / step, -127, 127))


def _half_type(full: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return the packed type on the link of a row type."""
    gaussian = "opacity" in (full.names or ())
    fields: Any = full.fields
    parts = []
    for name in full.names or ():
        if name == "rgb":
            if not gaussian:
                parts.append((name, "<u4"))
        elif name in _EXACT:
            parts.append((name, fields[name][0].str))
        elif name in _SHARES:
            parts.append((name, "|u1"))
        else:
            parts.append((name, "|i1" if name.startswith("f_rest_") else "<f2"))
    if _rest(full):
        parts.append((_SCALE, "<f2"))
    return np.dtype(parts)


def _rest(kind: np.dtype[np.void]) -> list[str]:
    return [name for name in kind.names or () if name.startswith("f_rest_")]
