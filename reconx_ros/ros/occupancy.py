"""A floor plan for Nav2's static layer: where something stands, and where floor was seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.ros.rows import Rows

FREE, OCCUPIED, UNKNOWN = 0, 100, -1

MOST_CELLS = 16_000_000
"""A map larger than this many cells gets coarser ones."""


@dataclass(frozen=True)
class GridSettings:
    """What counts as an obstacle.

    Attributes:
        resolution: metres a cell.
        low: metres above the map's origin; points below are floor.
        high: metres; points above are overhead and ignored.
        least: points in a cell from which it is occupied.
    """

    resolution: float = 0.05
    low: float = 0.1
    high: float = 1.8
    least: int = 2


@dataclass(frozen=True, eq=False)
class Grid:
    """A floor plan.

    Attributes:
        origin: [2] metres, the corner of cell (0, 0) in the map frame.
        resolution: metres a cell.
        cells: [rows (y), columns (x)] int8: ``FREE``, ``OCCUPIED`` or ``UNKNOWN``.
    """

    origin: NDArray[np.float64]
    resolution: float
    cells: NDArray[np.int8]


def occupancy_grid(points: Rows, settings: GridSettings) -> Grid:
    """Return the floor plan of ``points`` (map frame, z up).

    A cell is occupied where at least ``least`` points stand between ``low`` and ``high``; free where
    floor was seen and nothing stands; else unknown: what nobody saw is never free, not even where
    points were generated for it.
    """
    points = points[points["z"] <= settings.high]
    place = np.stack([points["x"], points["y"]], axis=1).astype(np.float64)
    if not len(place):  # one unknown cell: costmaps have no use for a plan without any
        return Grid(np.zeros(2), settings.resolution, np.full((1, 1), UNKNOWN, np.int8))
    area = float(np.ptp(place, axis=0).prod())
    resolution = max(settings.resolution, float(np.sqrt(area / MOST_CELLS)))
    corner = np.floor(place.min(axis=0) / resolution) * resolution
    cell = np.floor((place - corner) / resolution).astype(np.int64)
    columns, rows = (cell.max(axis=0) + 1).tolist()
    flat = cell[:, 1] * columns + cell[:, 0]
    standing = points["z"] >= settings.low
    seen = points["provenance"] == OBSERVED
    obstacles = np.bincount(flat[standing], minlength=rows * columns)
    floor = np.bincount(flat[seen & ~standing], minlength=rows * columns)
    cells = np.full(rows * columns, UNKNOWN, np.int8)
    cells[floor > 0] = FREE
    cells[obstacles > 0] = UNKNOWN  # a single point is no obstacle, and no free floor either
    cells[obstacles >= settings.least] = OCCUPIED
    return Grid(corner, resolution, cells.reshape(rows, columns))
