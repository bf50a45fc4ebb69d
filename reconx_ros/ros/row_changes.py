"""How much rows of a cloud have changed, in tolerances: what nobody would see need not be sent."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.ros.rows import Rows

TOLERANCES = {
    ("x", "y", "z"): 5e-4,  # and nothing else begins so
    ("confidence", "opacity"): 0.01,
    ("rot_x", "rot_y", "rot_z", "rot_w"): 5e-3,
    ("f_dc_", "f_rest_"): 0.01,
}
"""Changes smaller than this are not sent: half a millimetre, less than a grey level, half a degree."""

SCALE_TOLERANCE = 0.02
"""Share by which a scale has to change to be sent."""

COLOUR_TOLERANCE = 2.0
"""Grey levels of a point's colour; averaging over views moves it by less all the time."""


def excess(old: Rows, new: Rows) -> NDArray[np.float32]:
    """Return [N] by how many times its tolerance the most changed value of each row has changed."""
    before, after = _as_floats(old), _as_floats(new)
    scales = [new.dtype.fields[n][1] // 4 for n in ("scale_x", "scale_y", "scale_z") if n in _names(new)]  # type: ignore[index]
    with np.errstate(invalid="ignore", over="ignore"):  # bits of rgb and padding are no numbers: no limit
        shares = np.abs(after - before)
        shares /= _limits(new.dtype)
        times = np.fmax.reduce(shares, axis=1, initial=0)
    if scales:
        size = np.maximum(before[:, scales], np.float32(1e-9))
        grown = np.abs(after[:, scales] - size) / (SCALE_TOLERANCE * size)
        times = np.maximum(times, grown.max(axis=1))
    else:  # of a point nothing else tells its colour
        times = np.maximum(times, _recoloured(old, new) / COLOUR_TOLERANCE)
    times[old["provenance"] != new["provenance"]] = np.inf
    return np.asarray(times, np.float32)


def _recoloured(old: Rows, new: Rows) -> NDArray[np.float32]:
    """Return [N] by how many grey levels the most changed channel of ``rgb`` has changed."""
    before, after = (np.ascontiguousarray(rows["rgb"]).view(np.uint32) for rows in (old, new))
    channels = [
        np.abs((before >> shift & 255).astype(np.int16) - (after >> shift & 255).astype(np.int16))
        for shift in (0, 8, 16)
    ]
    return np.asarray(np.maximum.reduce(channels), np.float32)


def _names(rows: Rows) -> tuple[str, ...]:
    return rows.dtype.names or ()


def _as_floats(rows: Rows) -> NDArray[np.float32]:
    """Return rows as [N, bytes / 4] float32: one pass over memory instead of one a field."""
    return np.ascontiguousarray(rows).view(np.float32).reshape(len(rows), rows.dtype.itemsize // 4)


def _limits(kind: np.dtype[np.void]) -> NDArray[np.float32]:
    """Return the tolerance of each 4 bytes of a row; infinite where something else decides."""
    limits = np.full(kind.itemsize // 4, np.inf, np.float32)
    for name in kind.names or ():
        for prefixes, tolerance in TOLERANCES.items():
            if name.startswith(prefixes) and not name.startswith("scale_"):
                limits[kind.fields[name][1] // 4] = tolerance  # type: ignore[index]
                break
    return limits
