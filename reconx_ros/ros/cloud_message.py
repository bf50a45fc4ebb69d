"""Packed rows as ``sensor_msgs/PointCloud2`` and back: one memory copy, no loop over points."""

import array
from typing import Any

import numpy as np
from reconx_msgs.msg import CloudDelta
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from reconx_ros.ros.deltas import RowDelta
from reconx_ros.ros.rows import Rows

_FIELD_TYPES = {"<f4": PointField.FLOAT32, "|u1": PointField.UINT8, "<u4": PointField.UINT32}


def to_message(rows: Rows, header: Header) -> PointCloud2:
    """Return ``rows`` (packed, any row type of 4-byte floats and bytes) as a PointCloud2."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(rows).view(np.uint8).data)
    size = rows.dtype.itemsize
    return PointCloud2(
        header=header,
        height=1,
        width=len(rows),
        fields=_fields(rows.dtype),
        is_bigendian=False,
        point_step=size,
        row_step=size * len(rows),
        data=data,
        is_dense=True,
    )


def from_message(message: PointCloud2) -> Rows:
    """Return the rows of a packed, little-endian PointCloud2 (a view of its bytes).

    Raises:
        ValueError: the message is big-endian, has other field types, or fewer bytes than it says.
    """
    kinds = {number: kind for kind, number in _FIELD_TYPES.items()}
    if message.is_bigendian or any(f.datatype not in kinds or f.count != 1 for f in message.fields):
        raise ValueError("only little-endian clouds of single float32, uint32 and uint8 fields are read")
    row = np.dtype(
        {
            "names": [f.name for f in message.fields],
            "formats": [kinds[f.datatype] for f in message.fields],
            "offsets": [f.offset for f in message.fields],
            "itemsize": message.point_step,
        }
    )
    return np.frombuffer(message.data, row, count=message.width * message.height)


def delta_message(delta: RowDelta, header: Header) -> CloudDelta:
    """Return changes of a cloud as a message."""
    removed = array.array("I")
    removed.frombytes(np.ascontiguousarray(delta.removed, np.uint32).tobytes())
    return CloudDelta(
        header=header,
        version=delta.version,
        base_version=delta.base_version,
        count=delta.count,
        checksum=delta.checksum,
        removed=removed,
        changed=to_message(delta.changed, header),
    )


def delta_from_message(message: CloudDelta) -> RowDelta:
    """Return the changes that a message holds.

    Raises:
        ValueError: as ``from_message``.
    """
    return RowDelta(
        message.version,
        message.base_version,
        message.count,
        message.checksum,
        np.array(message.removed, np.uint32),
        from_message(message.changed),
    )


def _fields(row: np.dtype[Any]) -> list[PointField]:
    fields: Any = row.fields or {}
    return [
        PointField(name=name, offset=fields[name][1], datatype=_FIELD_TYPES[fields[name][0].str], count=1)
        for name in row.names or ()
    ]
