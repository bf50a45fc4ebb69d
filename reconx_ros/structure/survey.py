"""What is known of the scene, coarsely: points to draw by the hundred views, on rasters of few pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud, map_confidence

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

COLUMNS = 64
"""Pixels across a coarse view."""

MOST_POINTS = 20_000
"""Above this the cloud is thinned to larger cells."""

SAMPLES = 5_000
"""Points that the scale of the scene is measured on."""

WIDEST = 3.0
"""Spacing of a point, at most, in cells: outliers must not hide what is behind them."""

NEAREST = 0.02
"""Depth, in scene depths, before which nothing is drawn."""


@dataclass(frozen=True, eq=False)
class Sketch:
    """A coarse drawing of one view.

    Attributes:
        camera: of the coarse size.
        camera_from_world: its inverse pose, made once.
        depth: [h, w] float32, infinite where nothing is.
        confidence: [h, w] float32 in [0, 1], 0 where nothing is.
        back: [h, w] bool, where the view looks at a surface from behind.
    """

    camera: Camera
    camera_from_world: Array
    depth: Floats
    confidence: Floats
    back: NDArray[np.bool_]

    @property
    def front(self) -> NDArray[np.bool_]:
        """[h, w] bool, where the view shows a surface as it was seen: from before."""
        return np.isfinite(self.depth) & ~self.back

    @property
    def unseen(self) -> float:
        """Share of the pixels in which the cloud shows nothing from before."""
        return float(1 - self.front.mean())


@dataclass(frozen=True, eq=False)
class Survey:
    """A thinned cloud.

    Attributes:
        points: [P, 3] float32.
        normals: [P, 3] float32, 0 where unknown.
        confidence: [P] float32 in [0, 1].
        spacing: [P] float32, distance to the neighbouring points.
        depth: median depth of what the cameras see: the unit of length of all settings.
    """

    points: Floats
    normals: Floats
    confidence: Floats
    spacing: Floats
    depth: float

    def draw(self, camera: Camera) -> Sketch:
        """Draw all points into ``camera``, brought to ``COLUMNS`` pixels across."""
        from reconx_ros.structure.survey_kernel import draw_points, show_points  # noqa: PLC0415 - numba

        small = coarse(camera)
        pose, shape = small.camera_from_world, (small.height, small.width)
        index, depth = np.full(shape, -1, np.int32), np.full(shape, np.inf, np.float32)
        draw_points(self.points, self.spacing, small.intrinsics, pose, NEAREST * self.depth, index, depth)
        confidence, back = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        show_points(self.points, self.normals, self.confidence, small.centre, index, confidence, back)
        return Sketch(small, pose, depth, confidence, back)


def coarse(camera: Camera) -> Camera:
    """Return the camera with ``COLUMNS`` pixels across."""
    return camera.resized(COLUMNS, max(1, round(COLUMNS * camera.height / camera.width)))


def survey(cloud: PointCloud, cameras: Sequence[Camera]) -> Survey | None:
    """Thin ``cloud`` to what coarse views need; ``None`` where no camera sees any of it.

    Cells are as large as a coarse pixel at the median depth, larger where there would be more than
    ``MOST_POINTS``. The most confident point of a cell stays.
    """
    known = np.flatnonzero(np.isfinite(cloud.points).all(axis=1))
    depth = _scale(cloud.points[known[:: max(1, len(known) // SAMPLES)]], cameras)
    if depth is None:
        return None
    known = known[np.argsort(-cloud.confidence[known], kind="stable")]
    cell = depth / coarse(cameras[0]).intrinsics[0, 0]
    chosen = _thinned(cloud.points[known], cell)
    while len(chosen) > MOST_POINTS:
        cell *= max(1.1, (len(chosen) / MOST_POINTS) ** 0.5)
        chosen = _thinned(cloud.points[known], cell)
    kept = known[chosen]
    points = np.ascontiguousarray(cloud.points[kept], np.float32)
    normals = np.nan_to_num(cloud.normals[kept]).astype(np.float32)
    return Survey(points, normals, map_confidence(cloud.confidence[kept]), _spacing(points, cell), depth)


def _scale(points: Floats, cameras: Sequence[Camera]) -> float | None:
    """Return the median over the cameras of the median depth of the points in their images."""
    medians = []
    for camera in cameras:
        pixels, depth = camera.project(points.astype(np.float64))
        inside = (depth > 0) & (pixels > -0.5).all(axis=1)
        inside &= (pixels < np.array([camera.width, camera.height]) - 0.5).all(axis=1)
        if inside.any():
            medians.append(float(np.median(depth[inside])))
    return float(np.median(medians)) if medians else None


def _thinned(points: Floats, cell: float) -> NDArray[np.intp]:
    """Return the first of ``points`` in each cell."""
    index = np.floor(points.astype(np.float64) / cell).astype(np.int64)
    index -= index.min(axis=0)
    sides = index.max(axis=0) + 1
    keys = (index[:, 0] * sides[1] + index[:, 1]) * sides[2] + index[:, 2]
    return np.unique(keys, return_index=True)[1]


def _spacing(points: Floats, cell: float) -> Floats:
    """Return the mean distance to the three nearest neighbours, within one and ``WIDEST`` cells."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

    distance: Array = cKDTree(points).query(points, k=[2, 3, 4])[0]
    wide = np.where(np.isfinite(distance), distance, WIDEST * cell).mean(axis=1)
    return np.asarray(np.clip(wide, cell, WIDEST * cell), np.float32)
