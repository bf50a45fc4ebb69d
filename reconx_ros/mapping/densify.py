"""A dense cloud for planners and point viewers: points on the surfaces of confident Gaussians."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.initialise import SH_C0

Floats = NDArray[np.float64]

EXTENT = 1.5
"""Standard deviations that a Gaussian's disc reaches to: there it has a third of its peak."""

LEAST_OPACITY = 0.5
"""Gaussians that are more transparent show no surface."""

MOST_CONFIDENT = 1.0 - 1e-6
CHUNK = 2_000_000
"""Points that are thinned at once."""

MOST_SAMPLES = 500_000_000


def densified(
    gaussians: GaussianMap, spacing: float, min_confidence: float = 0.5, generated: bool = False
) -> PointCloud:
    """Sample the surfaces of ``gaussians``: at most one point in a cube of side ``spacing``.

    A Gaussian near a surface is flat: points lie on the disc of its two longer axes, on a grid no coarser
    than ``spacing``, with its colour (of no direction), its shortest axis as normal (of unknown sign), its
    confidence and provenance. Of points in one cube the most confident stays; an observed one before a
    generated one. A Gaussian without orientation (a zero quaternion) is left out, as where it is drawn.

    Args:
        gaussians: the map.
        spacing: world units.
        min_confidence: c in [0, 1] of the Gaussians to use, at least.
        generated: whether to take generated Gaussians too.

    Raises:
        MapError: the spacing is not positive, or too fine for the size of the map.
    """
    if not 0 < spacing < np.inf:
        raise MapError(f"the spacing of a densified cloud is {spacing:g}; it must be above 0 and finite")
    opacity = 1 / (1 + np.exp(-gaussians.opacity_logits.astype(np.float64)))
    used = (opacity >= LEAST_OPACITY) & (gaussians.confidence >= min_confidence)
    used &= gaussians.quaternions_wxyz.any(axis=1)
    if not generated:
        used &= gaussians.provenance == OBSERVED
    rows = np.flatnonzero(used)
    # The best first: what comes later into a cube that is taken is left out.
    rows = rows[np.lexsort((-gaussians.confidence[rows], gaussians.provenance[rows]))]
    points, source, normals = np.empty((0, 3)), np.empty(0, np.intp), np.empty((0, 3))
    for part in _chunks(gaussians, rows, spacing):
        places, owner, normal = _discs(gaussians, part, spacing)
        points = np.concatenate([points, places])
        source, normals = np.concatenate([source, part[owner]]), np.concatenate([normals, normal[owner]])
        first = _first_in_cube(points, spacing)
        points, source, normals = points[first], source[first], normals[first]
    colours = np.clip(gaussians.sh[source, 0] * SH_C0 + 0.5, 0, 1)
    confidence = np.clip(gaussians.confidence[source].astype(np.float64), 0, MOST_CONFIDENT)
    return PointCloud(
        points.astype(np.float32),
        np.rint(255 * colours).astype(np.uint8),
        normals.astype(np.float32),
        (1 / (1 - confidence)).astype(np.float32),
        gaussians.provenance[source],
        np.zeros(len(source), np.int32),
    )


def _chunks(gaussians: GaussianMap, rows: NDArray[np.intp], spacing: float) -> list[NDArray[np.intp]]:
    """Return ``rows`` in parts whose discs have about ``CHUNK`` points together."""
    counts = _steps(gaussians.log_scales[rows], spacing)[1].prod(axis=1)
    total = float(counts.astype(np.float64).sum())
    if total > MOST_SAMPLES:
        enough = 1.1 * spacing * np.sqrt(total / MOST_SAMPLES)  # points grow with area
        raise MapError(
            f"a spacing of {spacing:g} is too fine: {total:.3g} points; give {enough:.2g} or more"
        )
    ends = np.flatnonzero(np.diff(np.cumsum(counts) // CHUNK)) + 1
    return np.split(rows, ends)


def _steps(log_scales: NDArray[np.float32], spacing: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return how far discs reach along their two axes [N, 2], and the points of the grids along each."""
    reach = EXTENT * np.exp(np.sort(log_scales.astype(np.float64), axis=1)[:, 1:])
    return reach, 2 * np.floor(np.minimum(reach / spacing, 1e6)).astype(np.int64) + 1


def _discs(
    gaussians: GaussianMap, rows: NDArray[np.intp], spacing: float
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return points [N, 3] on the discs of ``rows``, the place [N] in ``rows`` of each, and the normals.

    The normals are [len(rows), 3].
    """
    wxyz = gaussians.quaternions_wxyz[rows].astype(np.float64)
    axes = Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]).as_matrix().transpose(0, 2, 1)  # rows are axes
    order = np.argsort(gaussians.log_scales[rows], axis=1)
    thin, short, long = axes[np.arange(len(rows))[:, None], order].transpose(1, 0, 2)
    reach, across = _steps(gaussians.log_scales[rows], spacing)
    counts = across.prod(axis=1)
    owner = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    grid = np.stack([number % across[owner, 0], number // across[owner, 0]], axis=1)
    places = (grid - across[owner] // 2) * spacing
    inside = ((places / np.maximum(reach[owner], spacing)) ** 2).sum(axis=1) <= 1
    owner, places = owner[inside], places[inside]
    offset = places[:, :1] * short[owner] + places[:, 1:] * long[owner]
    return gaussians.means[rows[owner]] + offset, owner, thin


def _first_in_cube(points: Floats, spacing: float) -> NDArray[np.intp]:
    """Return the rows, in order, of the first point in each cube of side ``spacing``."""
    cells = np.floor(points / spacing)
    cells -= cells.min(axis=0, initial=np.inf) if len(cells) else 0.0
    size = cells.max(axis=0, initial=0.0) + 1
    if float(np.prod(size)) >= 2.0**62:
        raise MapError(f"a spacing of {spacing:g} is too fine for a map of this size; give a larger one")
    x, y, z = cells.astype(np.int64).T
    numbers = (x * int(size[1]) + y) * int(size[2]) + z
    return np.sort(np.unique(numbers, return_index=True)[1])
