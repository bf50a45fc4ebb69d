"""Rows at half precision for a slow link, and back: half the bytes, positions exact."""

import array
from typing import Any

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from reconx_ros.ros.rows import CLOUD_TYPE, Rows, gaussian_type, refresh_rgb

_TYPES = {
    "<f4": PointField.FLOAT32,
    "|u1": PointField.UINT8,
    "<u4": PointField.UINT32,
    "<f2": PointField.UINT16,
}
_EXACT = ("x", "y", "z", "id", "provenance")


def half_message(rows: Rows) -> PointCloud2:
    """Return rows of ``CLOUD_TYPE`` or ``gaussian_type`` as a message of half their size.

    x, y, z stay float32, id uint32, provenance uint8. All else is float16 in UINT16 fields. Points
    keep ``rgb``; that of Gaussians follows from ``f_dc`` and does not travel.
    """
    kind = _half_type(rows.dtype)
    half = np.empty(len(rows), kind)
    for name in kind.names or ():
        half[name] = rows[name].view(np.uint32) if name == "rgb" else rows[name]
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
    for name in names:
        rows[name] = half[name].view(np.float32) if name == "rgb" else half[name]
    if count:
        refresh_rgb(rows)
    return rows


def half_size(kind: np.dtype[np.void]) -> int:
    """Return the bytes that a row of ``CLOUD_TYPE`` or ``gaussian_type`` takes at half precision."""
    return _half_type(kind).itemsize


def _half_type(full: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return the packed half-precision type of a row type."""
    gaussian = "opacity" in (full.names or ())
    fields: Any = full.fields
    parts = []
    for name in full.names or ():
        if name == "rgb":
            if not gaussian:
                parts.append((name, "<u4"))
        elif name in _EXACT:
            parts.append((name, fields[name][0].str))
        else:
            parts.append((name, "<f2"))
    return np.dtype(parts)
