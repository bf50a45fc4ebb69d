"""What the worker tells the node: its arrays, packed."""

import time

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import Drawing
from reconx_ros.geometry.protocol import OBSERVED, PointCloud, PointMap, map_confidence
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.far import FarPoints
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.ros.deltas import DeltaMaker, RowDelta
from reconx_ros.ros.link_replies import FieldUpdate, MapUpdate
from reconx_ros.ros.rows import Rows, gaussian_rows, point_rows
from reconx_ros.splatting.rasterize import render_view

SHARE = 0.2
"""Of the worker's time that may go into distance fields: the map comes first."""


def optical_rows(keyframe: Keyframe, pointmap: PointMap) -> Rows:
    """Return the known points of a keyframe in its own optical frame."""
    known = pointmap.known
    camera_from_world = keyframe.camera.camera_from_world
    local = pointmap.points[known] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    provenance = np.full(len(local), OBSERVED, np.uint8)
    confidence = map_confidence(pointmap.confidence[known])
    return point_rows(local.astype(np.float32), keyframe.image[known], confidence, provenance)


class MapReplies:
    """Makes the maps that travel to the node: what has changed since the last one."""

    def __init__(self) -> None:
        self._points, self._gaussians = DeltaMaker(), DeltaMaker()
        self._far: FarPoints | None = None
        self._far_rows = far_rows(FarPoints.none())

    def resend(self) -> None:
        """Let the next map be complete."""
        self._points.reset()
        self._gaussians.reset()

    def make(self, epoch: int, mapper: IncrementalMapper, camera_frame: str) -> MapUpdate | None:
        """Return what is near as it is now, and the points of what is far; ``None`` before the first."""
        snapshot = mapper.snapshot(whole=False)
        if snapshot is None:
            return None
        point_ids, gaussian_ids = mapper.ids
        far = mapper.far()
        if far is not self._far:  # what lies far rarely moves, and is most of a large map
            self._far, self._far_rows = far, far_rows(far)
        points = self._points.make(cloud_rows(snapshot.cloud, point_ids), still=self._far_rows)
        gaussians = self._gaussians.make(gaussian_rows(snapshot.gaussians, gaussian_ids))
        return map_update(
            epoch, snapshot, points, gaussians, camera_frame, mapper.submaps, mapper.config.drawing
        )


class FieldReplies:
    """Makes the distance field round the robot, for at most ``SHARE`` of the time.

    Attributes:
        owed: whether one was asked for and was not due yet.
    """

    def __init__(self) -> None:
        self.owed = False
        self._due = -float("inf")

    def make(self, epoch: int, mapper: IncrementalMapper, stamp_ns: int) -> FieldUpdate | None:
        """Return the field as it is now, ``None`` where it is not wanted or not due."""
        begun = time.monotonic()
        self.owed = begun < self._due
        field = None if self.owed else mapper.field()
        if field is None:
            return None
        now = time.monotonic()
        self._due = now + (now - begun) * (1 / SHARE - 1)
        return FieldUpdate(epoch, stamp_ns, field.origin, field.voxel_size, field.distance)


def cloud_rows(cloud: PointCloud, ids: NDArray[np.int64]) -> Rows:
    """Return the cloud as rows of ``CLOUD_TYPE``."""
    confidence = map_confidence(cloud.confidence)
    return point_rows(cloud.points, cloud.colors, confidence, cloud.provenance, ids)


def far_rows(far: FarPoints) -> Rows:
    """Return far points as rows of ``CLOUD_TYPE``, ascending by id."""
    rows = point_rows(far.points, far.colors, map_confidence(far.confidence), far.provenance, far.ids)
    return rows[np.argsort(rows["id"])]


def map_update(
    epoch: int,
    snapshot: Reconstruction,
    points: RowDelta,
    gaussians: RowDelta,
    camera_frame: str,
    submaps: tuple[int, int],
    drawing: Drawing,
) -> MapUpdate:
    """Return ``snapshot`` as it travels to the node."""
    report = snapshot.report
    loss = report.get("optimisation", {}).get("loss")
    return MapUpdate(
        epoch,
        points,
        gaussians,
        tuple((k.stamp_ns, k.camera) for k in snapshot.keyframes),
        loss,
        dict(report.get("seconds", {})),
        _preview(snapshot, drawing),
        camera_frame,
        submaps,
        str(report.get("synthesis_summary", "")),
        f"{report['geometry']}: {report['geometry_reason']}" if "geometry_reason" in report else "",
        dict(report.get("pruned", {})),
    )


def _preview(snapshot: Reconstruction, drawing: Drawing) -> NDArray[np.uint8] | None:
    """Return the map as the newest keyframe's camera sees it."""
    if not snapshot.keyframes:
        return None
    camera = snapshot.keyframes[-1].camera
    image, _, alpha = render_view(snapshot.gaussians, camera, *drawing)
    return (snapshot.appearance.develop(image, alpha, camera) * 255 + 0.5).astype(np.uint8)
