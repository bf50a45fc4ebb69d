"""Pointmaps become one cloud: duplicates merged, points that were seen through removed."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.agreement import CONTRADICTS, judge
from reconx_ros.geometry.bricks import SIDE, Bricks
from reconx_ros.geometry.config import FusionConfig
from reconx_ros.geometry.protocol import OBSERVED, GeometryEstimate, PointCloud, PointMap
from reconx_ros.geometry.seen_through import depth_of, measured, tolerance_of, trusted
from reconx_ros.geometry.voxel_motion import move_groups
from reconx_ros.geometry.voxel_store import Voxels
from reconx_ros.geometry.voxels import LEAST_WEIGHT, sum_by_voxel, voxel_keys
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH


class CloudFusion:
    """A voxel grid that views are merged into one by one, in bounded memory.

    Within a view the points of a voxel are averaged with the weights ``w = C - 1`` and stand for one
    measurement of their mean weight: their errors are not independent. Over views, which are, the
    measurements are averaged with their weights and the weights add up (inverse variances), so a
    point of the cloud has ``C = 1 + sum of w``. Views whose ``w`` are odds (stereo) or rest on the same
    evidence (``PointMap.shared``) are one measurement in that sum, of their mean ``w``. Weighted
    sums do not depend on the order of the views beyond rounding (1e-6 of the values).

    A view that measures a surface clearly behind a point of the cloud (``seen_through.py``) has seen
    through it; the point is removed once as many views have seen through it as have seen it. Above
    ``max_points`` the points of least weight leave.
    """

    def __init__(self, config: FusionConfig, scale: float = 1.0, side: int = SIDE) -> None:
        """Create an empty cloud.

        Args:
            config: voxel size and limits.
            scale: world units a metre of the configuration stands for: 1 in a metric world, else
                ``world_scale``.
            side: of the bricks it is kept in (``Bricks``).
        """
        self._config = config
        self._voxel_size = config.voxel_size * scale
        self._bricks = Bricks(self._voxel_size, side)
        self._next_id = 0

    def add(
        self, keyframe: Keyframe, pointmap: PointMap, provenance: int = OBSERVED, group: int = 0
    ) -> PointCloud:
        """Remove what this view saw through, then merge it.

        Args:
            keyframe: the view.
            pointmap: its points.
            provenance: of the view; a voxel that was observed stays so.
            group: the voxels it creates belong to; see ``move``.

        Returns:
            The points that this view created.

        Raises:
            GeometryError: a point is too far from the origin for the voxel size.
        """
        self.carve(keyframe, pointmap)
        return self.merge(keyframe, pointmap, provenance, group)

    def merge(
        self, keyframe: Keyframe, pointmap: PointMap, provenance: int = OBSERVED, group: int = 0
    ) -> PointCloud:
        """Merge a view without removing what it saw through; arguments and result as in ``add``."""
        sums = sum_by_voxel(
            pointmap,
            keyframe.image,
            keyframe.camera.centre,
            self._voxel_size,
            self._config.min_confidence,
        )
        each = 1 / np.maximum(sums.points, 1)
        count, weight = len(sums.keys), sums.weight * each
        shared = pointmap.shared or pointmap.deviation is not None
        created = self._insert(
            Voxels(
                sums.keys,
                weight,
                sums.values * each[:, None],
                np.ones(count, np.int32),
                np.zeros(count, np.int32),
                np.full(count, provenance, np.uint8),
                self._new_ids(count),
                np.full(count, group, np.int32),
                weight * shared,
                np.full(count, shared, np.int32),
            )
        )
        return _cloud(created)

    def carve(self, keyframe: Keyframe, pointmap: PointMap) -> int:
        """Remove the points that this view, with those before it, saw through; return their number."""
        # The tolerance is the view's alone: a low C says that a point may not be there at all.
        least, deviation = trusted(pointmap)
        view, tolerance = measured(keyframe, pointmap, least), tolerance_of(deviation)
        removed = 0
        if not np.isfinite(view.depth).any():
            return removed
        for number in self._bricks.in_view(keyframe.camera, float(np.nanmax(view.depth))):
            voxels = self._bricks[number]
            points = voxels.means()[:, :3].astype(np.float32)
            verdict = judge(points, np.zeros(len(points), np.float32), view, tolerance)
            seen_through = verdict == CONTRADICTS
            if seen_through.any():
                judged = replace(voxels, through=voxels.through + seen_through)
                stays = ~(seen_through & (judged.through >= judged.views))
                self._bricks.change(number, judged.select(stays))
                removed += int(np.count_nonzero(~stays))
        return removed

    def cloud(self) -> PointCloud:
        """Return the cloud as it is now, in the order its points were created in."""
        return _cloud(self._bricks.whole())

    def restore(self, cloud: PointCloud, shared: bool = False) -> None:
        """Replace the cloud by one that was made before; merging goes on from there.

        Args:
            cloud: its points keep their confidence.
            shared: whether that is the mean over ``cloud.views`` (stereo), to which further views of the
                kind add as one more; else they add to it as to one measurement.
        """
        self._bricks.replace(Voxels.empty())
        self._insert(self._saved(cloud, shared))

    def fill(self, cloud: PointCloud, shared: bool = False) -> None:
        """Add the points of a cloud that was made before in the voxels where none is yet.

        Args:
            cloud: its points keep their confidence.
            shared: as in ``restore``.
        """
        saved = self._saved(cloud, shared)
        self._insert(saved.select(~np.isin(saved.keys, self._bricks.whole().keys)))

    def _saved(self, cloud: PointCloud, shared: bool) -> Voxels:
        """Return a cloud as voxels: of a finer one, one point a voxel."""
        weight = np.maximum(cloud.confidence.astype(np.float64) - 1, LEAST_WEIGHT)
        weight *= np.where(shared, cloud.views, 1)
        values = np.concatenate([cloud.points, cloud.colors, cloud.normals], axis=1)
        saved = Voxels(
            voxel_keys(cloud.points, self._voxel_size),
            weight,
            values * weight[:, None],
            cloud.views.copy(),
            np.zeros(len(cloud), np.int32),
            cloud.provenance.copy(),
            self._new_ids(len(cloud)),
            np.zeros(len(cloud), np.int32),
            weight * shared,
            cloud.views * np.int32(shared),
        )
        _, first = np.unique(saved.keys, return_index=True)
        return saved.select(np.sort(first))

    @property
    def ids(self) -> NDArray[np.int64]:
        """[N] int64, for each row of ``cloud()`` the number the point keeps for life."""
        return self._bricks.ids()

    def take(self, group: int) -> Voxels:
        """Remove and return the voxels of a group; ``put`` brings them back."""
        return self._bricks.filter(lambda voxels: voxels.group != group)

    def put(self, voxels: Voxels) -> None:
        """Bring back what ``take`` gave; voxels seen anew meanwhile merge with them."""
        self._insert(voxels)

    def regroup(self, old: int, new: int) -> None:
        """Let the voxels of the group ``old`` belong to ``new``."""
        for number in self._bricks:
            self._bricks.change(number, self._bricks[number].regrouped(old, new))

    def remove(self, rows: NDArray[np.bool_]) -> None:
        """Remove the points at ``rows``, a mask over ``cloud()``."""
        self._bricks.replace(self._bricks.whole().select(~rows))

    def move(self, motions: Mapping[int, NDArray[np.float64]]) -> None:
        """Move each group by its rigid motion [4, 4]; points that meet in a voxel become one.

        Raises:
            GeometryError: a point would be too far from the origin for the voxel size.
        """
        self._bricks.replace(move_groups(self._bricks.whole(), motions, self._voxel_size))

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self._bricks)

    def _new_ids(self, count: int) -> NDArray[np.int64]:
        begin, self._next_id = self._next_id, self._next_id + count
        return np.arange(begin, self._next_id)

    def _insert(self, new: Voxels) -> Voxels:
        """Merge ``new`` (distinct keys) and return those of them that stand for themselves."""
        created = new.select(self._bricks.insert(new))
        if len(self._bricks) > self._config.max_points:
            stays = self._bricks.limit(self._config.max_points)
            self._bricks.filter(stays)
            created = created.select(stays(created))
        return created


def _cloud(voxels: Voxels) -> PointCloud:
    mean = voxels.means()
    length = np.linalg.norm(mean[:, 6:], axis=1, keepdims=True)
    upward = np.array([0.0, 0.0, 1.0])  # where opposite normals cancelled out
    normals = np.where(length > 1e-9, mean[:, 6:] / np.maximum(length, 1e-9), upward)
    return PointCloud(
        mean[:, :3].astype(np.float32),
        np.rint(mean[:, 3:6]).astype(np.uint8),
        normals.astype(np.float32),
        voxels.confidence(),
        voxels.provenance.copy(),
        voxels.views.copy(),
    )


def fuse(
    estimate: GeometryEstimate, config: FusionConfig, before: PointCloud | None = None, shared: bool = False
) -> PointCloud:
    """Fuse all views of ``estimate`` into one cloud.

    All views are merged before any of them removes what it saw through, so every point is judged by
    every view and the set of points does not depend on their order.

    Args:
        estimate: the views.
        config: voxel size and limits.
        before: a cloud of the same world; it stays where these views have no points nor see through it.
        shared: whether its confidence is a mean over its views (``CloudFusion.restore``).

    Raises:
        GeometryError: a point is too far from the origin for the voxel size.
    """
    fusion = CloudFusion(config, world_scale(estimate))
    views = list(zip(estimate.keyframes, estimate.pointmaps, strict=True))
    for keyframe, pointmap in views:
        fusion.merge(keyframe, pointmap)
    if before is not None:
        fusion.fill(before, shared)
    for keyframe, pointmap in views:
        fusion.carve(keyframe, pointmap)
    return fusion.cloud()


def new_points(
    cloud: PointCloud, before: PointCloud, estimate: GeometryEstimate, config: FusionConfig
) -> NDArray[np.bool_]:
    """Return which points [N] of a ``cloud`` of ``fuse`` are in voxels where ``before`` has none."""
    size = config.voxel_size * world_scale(estimate)
    return ~np.isin(voxel_keys(cloud.points, size), voxel_keys(before.points, size))


def world_scale(estimate: GeometryEstimate) -> float:
    """Return the world units that a metre of the configuration stands for.

    1 in a metric world. In another one lengths are read as if the scene were at the typical distance
    of a room: ``NOMINAL_DEPTH`` (2 m) stands for the median, over the views, of the median depth.
    """
    if estimate.metric:
        return 1.0
    depths = [
        np.nanmedian(depth_of(keyframe, pointmap))
        for keyframe, pointmap in zip(estimate.keyframes, estimate.pointmaps, strict=True)
        if pointmap.known.any()
    ]
    return float(np.median(depths)) / NOMINAL_DEPTH if depths else 1.0
