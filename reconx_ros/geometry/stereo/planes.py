"""Inverse-depth planes, and how they carry the reference view into its neighbours."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Array = NDArray[np.float64]

FEWEST = 32
"""Planes at least: even a short baseline deserves a cost curve."""


def transfer(reference: Camera, other: Camera) -> Array:
    """Return (A | b), [3, 4]: a pixel ``p = (x, y, 1)`` at inverse depth ``w`` is at ``A p + w b``.

    The third number of ``A p + w b`` is the depth in ``other`` times ``w``.
    """
    other_from_reference = other.camera_from_world @ reference.world_from_camera
    rotation, translation = other_from_reference[:3, :3], other_from_reference[:3, 3]
    a = other.intrinsics @ rotation @ np.linalg.inv(reference.intrinsics)
    return np.concatenate([a, (other.intrinsics @ translation)[:, None]], axis=1)


def shifts(reference: Camera, transfers: Sequence[Array], near: float, far: float) -> Array:
    """Return for each neighbour how many pixels a point moves in it from ``far`` to ``near``, [K].

    The median over a grid of 5 x 5 pixels of the reference view.
    """
    columns, rows = np.meshgrid(
        np.linspace(0, reference.width - 1, 5), np.linspace(0, reference.height - 1, 5)
    )
    pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(25)])
    return np.array([_shift(t, pixels, near, far) for t in transfers])


def _shift(carry: Array, pixels: Array, near: float, far: float) -> float:
    ends = []
    for depth in (near, far):
        moved = carry[:, :3] @ pixels + carry[:, 3:] / depth
        ends.append(moved[:2] / np.where(np.abs(moved[2]) < 1e-9, 1e-9, moved[2]))
    return float(np.median(np.linalg.norm(ends[0] - ends[1], axis=0)))


def sweep(shift: float, near: float, far: float, most: int) -> NDArray[np.float32]:
    """Return inverse depths [D] from ``1 / far`` to ``1 / near``, evenly spaced.

    Args:
        shift: pixels that a point moves over the whole range; a plane a pixel is enough, as the
            window blurs the cost over more than that.
        near: nearest depth.
        far: farthest depth.
        most: planes at most.
    """
    count = int(np.clip(np.ceil(shift) + 1, FEWEST, most))
    return np.linspace(1 / far, 1 / near, count).astype(np.float32)
