"""The node's publishers: what the worker gives becomes messages."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid, Path
from rclpy.node import Node
from reconx_msgs.msg import CloudDelta, MapStatus
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.ros.cloud_message import delta_message, to_message
from reconx_ros.ros.deltas import RowMirror, complete_delta
from reconx_ros.ros.link import Added, MapUpdate
from reconx_ros.ros.messages import frusta_message, grid_message, header, image_message, path_message
from reconx_ros.ros.occupancy import GridSettings, occupancy_grid
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.ros.rows import Rows, gaussian_type
from reconx_ros.ros.rviz_splats import splat_array_bytes, splat_array_type


class Outputs:
    """Every publisher of the node.

    Points for planners are filtered: observed ones of enough confidence, unless told otherwise.

    Args:
        node: that publishes.
        min_confidence: gives the live parameter, in [0, 1].
        with_generated: gives the live parameter.
        grid: of the floor plan, ``None`` for none.
        splats: whether to publish for RVizSplat too.

    Raises:
        ConfigError: ``splats`` is set and the messages of RVizSplat are not installed.
    """

    def __init__(
        self,
        node: Node,
        min_confidence: Callable[[], float],
        with_generated: Callable[[], bool],
        grid: GridSettings | None = None,
        splats: bool = False,
    ) -> None:
        splat_type = splat_array_type() if splats else None
        self._node, self._min_confidence, self._with_generated = node, min_confidence, with_generated
        self._points = node.create_publisher(PointCloud2, "~/points", reliable(5))
        self._map_points = node.create_publisher(PointCloud2, "~/map_points", latched())
        self._gaussians = node.create_publisher(PointCloud2, "~/gaussians", latched())
        self._delta = node.create_publisher(CloudDelta, "~/gaussians_delta", reliable(20))
        self._generated = node.create_publisher(PointCloud2, "~/generated_points", latched())
        self._grid_settings = grid or GridSettings()
        self._grid = (
            None if grid is None else node.create_publisher(OccupancyGrid, "~/occupancy_grid", latched())
        )
        self._splats = splat_type and node.create_publisher(splat_type, "~/splats", latched())
        self._points_mirror, self._gaussians_mirror = RowMirror(), RowMirror()
        self._version, self._head = 0, header("", 0)
        self._lock = threading.Lock()
        self._path = node.create_publisher(Path, "~/keyframes", latched())
        self._frusta = node.create_publisher(MarkerArray, "~/keyframe_markers", latched())
        self._preview = node.create_publisher(Image, "~/rendered_image", reliable(1))
        self._status = node.create_publisher(MapStatus, "~/status", reliable())
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", reliable())

    def keyframe(self, added: Added) -> None:
        """Publish the points of one keyframe in its optical frame, stamped with its capture time."""
        rows = self._filtered(added.points)
        self._points.publish(to_message(rows, header(added.camera_frame, added.stamp_ns)))

    def map(self, update: MapUpdate, world: str) -> None:
        """Publish the map in the ``world`` frame, stamped with its newest keyframe's time.

        Raises:
            DeltaGapError: an update before this one was lost; what was published stays.
        """
        stamp = max((stamp for stamp, _ in update.views), default=0)
        head = header(world, stamp)
        with self._lock:
            self._points_mirror.apply(update.points)
            self._gaussians_mirror.apply(update.gaussians)
            points, gaussians = self._points_mirror.rows, self._gaussians_mirror.rows
            assert points is not None
            assert gaussians is not None
            base = 0 if update.gaussians.complete else self._version
            self._version, self._head = self._version + 1, head
            self._delta.publish(
                delta_message(replace(update.gaussians, version=self._version, base_version=base), head)
            )
        self._map_points.publish(to_message(self._filtered(points), head))
        self._generated.publish(to_message(self._generated_rows(points), head))
        self._gaussians.publish(to_message(gaussians, head))
        if self._splats is not None:
            self._splats.publish(splat_array_bytes(gaussians, world, stamp))
        self._path.publish(path_message(world, update.views))
        self._frusta.publish(frusta_message(world, [camera for _, camera in update.views]))
        if self._grid is not None:
            grid = occupancy_grid(self._filtered(points), self._grid_settings)
            self._grid.publish(grid_message(grid, head))
        if update.preview is not None:
            self._preview.publish(image_message(update.preview, header(update.preview_frame, stamp)))

    @property
    def version(self) -> int:
        """Of the map published last."""
        return self._version

    def whole_gaussians(self) -> CloudDelta | None:
        """Return the Gaussians published last as a complete delta, ``None`` before the first."""
        with self._lock:
            rows = self._gaussians_mirror.rows
            return None if rows is None else delta_message(complete_delta(self._version, rows), self._head)

    def forget(self) -> None:
        """The map is empty: tell those who follow it."""
        with self._lock:
            self._points_mirror, self._gaussians_mirror = RowMirror(), RowMirror()
            if self._version:
                self._version += 1
                empty = complete_delta(self._version, np.empty(0, gaussian_type(1)))
                self._delta.publish(delta_message(empty, self._head))

    def status(self, status: MapStatus) -> None:
        """Publish the status."""
        self._status.publish(status)

    def diagnostics(self, array: DiagnosticArray) -> None:
        """Publish diagnostics."""
        self._diagnostics.publish(array)

    def close(self) -> None:
        """End every publisher."""
        maps = (self._points, self._map_points, self._generated, self._gaussians, self._delta)
        optional = (self._grid, self._splats)
        for publisher in (
            *maps,
            *optional,
            self._path,
            self._frusta,
            self._preview,
            self._status,
            self._diagnostics,
        ):
            if publisher is not None:
                self._node.destroy_publisher(publisher)

    def _generated_rows(self, rows: Rows) -> Rows:
        """Return the points that no camera saw, of enough confidence."""
        confident = rows["confidence"] >= np.float32(self._min_confidence())
        wanted: Rows = rows[confident & (rows["provenance"] == GENERATED)]
        return wanted

    def _filtered(self, rows: Rows) -> Rows:
        keep = rows["confidence"] >= np.float32(self._min_confidence())
        if not self._with_generated():
            keep &= rows["provenance"] == OBSERVED
        return rows if keep.all() else rows[keep]
