"""The node's publishers: what the worker gives becomes messages."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import OccupancyGrid, Path
from rclpy.node import Node
from rclpy.time import Time
from reconx_msgs.msg import CloudDelta, MapStatus
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.ros.cloud_message import delta_message, to_message
from reconx_ros.ros.deltas import RowMirror, complete_delta
from reconx_ros.ros.link_replies import Added, FieldUpdate, MapUpdate
from reconx_ros.ros.messages import frusta_message, grid_message, header, image_message, path_message
from reconx_ros.ros.occupancy import GridSettings, occupancy_grid
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.ros.rows import CLOUD_TYPE, FIELD_TYPE, Rows, field_rows, gaussian_type
from reconx_ros.ros.rviz_splats import splat_array_bytes, splat_array_type
from reconx_ros.ros.turns import Turns


class Outputs:
    """Every publisher of the node.

    Points for planners are filtered: observed ones of enough confidence, unless told otherwise. What the
    worker gave for a map that was forgotten since is not published, also where both happen at once.

    Args:
        node: that publishes.
        min_confidence: gives the live parameter, in [0, 1].
        with_generated: gives the live parameter.
        grid: of the floor plan, ``None`` for none.
        splats: whether to publish for RVizSplat too.
        field: whether to publish the distance field round the robot.

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
        field: bool = False,
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
        self._field = node.create_publisher(PointCloud2, "~/distance_field", latched()) if field else None
        self._points_mirror, self._gaussians_mirror = RowMirror(), RowMirror()
        self._version, self._head = 0, header("", 0)
        self._lock = threading.Lock()  # for the mirrors: held for a moment only
        self._turns = Turns()  # for publishing: a map takes a while
        self._epoch = 0
        self._path = node.create_publisher(Path, "~/keyframes", latched())
        self._frusta = node.create_publisher(MarkerArray, "~/keyframe_markers", latched())
        self._preview = node.create_publisher(Image, "~/rendered_image", reliable(1))
        self._status = node.create_publisher(MapStatus, "~/status", reliable())
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", reliable())

    def keyframe(self, added: Added) -> None:
        """Publish the points of one keyframe in its optical frame, stamped with its capture time."""
        with self._turns.take():
            if added.epoch == self._epoch:
                rows = self._filtered(added.points)
                self._points.publish(to_message(rows, header(added.camera_frame, added.stamp_ns)))

    def map(self, update: MapUpdate, world: str) -> None:
        """Publish the map in the ``world`` frame, stamped with its newest keyframe's time.

        Raises:
            DeltaGapError: an update before this one was lost; what was published stays.
        """
        with self._turns.take():
            if update.epoch == self._epoch:
                self._publish_map(update, world)

    def _publish_map(self, update: MapUpdate, world: str) -> None:
        stamp = max((stamp for stamp, _ in update.views), default=0)
        head = header(world, stamp)
        gaussians = self._apply(update, head)
        self._publish_points()
        self._gaussians.publish(to_message(gaussians, head))
        if self._splats is not None:
            self._splats.publish(splat_array_bytes(gaussians, world, stamp))
        self._path.publish(path_message(world, update.views))
        self._frusta.publish(frusta_message(world, [camera for _, camera in update.views]))
        if update.preview is not None:
            self._preview.publish(image_message(update.preview, header(update.preview_frame, stamp)))

    def _apply(self, update: MapUpdate, head: Header) -> Rows:
        """Publish which Gaussians have changed; return all of them."""
        with self._lock:
            self._points_mirror.apply(update.points)
            self._gaussians_mirror.apply(update.gaussians)
            gaussians = self._gaussians_mirror.rows
            assert gaussians is not None
            base = 0 if update.gaussians.complete else self._version
            self._version, self._head = self._version + 1, head
            self._delta.publish(
                delta_message(replace(update.gaussians, version=self._version, base_version=base), head)
            )
        return gaussians

    def refilter(self) -> None:
        """Publish the points of the map anew, for what is asked of them has changed. Never waits."""
        self._turns.leave(self._publish_points)

    def _publish_points(self) -> None:
        """Publish the map's points, those that no camera saw, and the floor plan; before a map nothing."""
        with self._lock:
            points, head = self._points_mirror.rows, self._head
        if points is None:
            return
        filtered = self._filtered(points)
        self._map_points.publish(to_message(filtered, head))
        self._generated.publish(to_message(self._generated_rows(points), head))
        if self._grid is not None:
            self._grid.publish(grid_message(occupancy_grid(filtered, self._grid_settings), head))

    def field(self, update: FieldUpdate, world: str) -> None:
        """Publish the distance field round the robot: the voxels that are known."""
        with self._turns.take():
            if self._field is not None and update.epoch == self._epoch:
                rows = field_rows(update.origin, update.voxel_size, update.distance)
                self._field.publish(to_message(rows, header(world, update.stamp_ns)))

    @property
    def version(self) -> int:
        """Of the map published last."""
        return self._version

    def whole_gaussians(self) -> CloudDelta | None:
        """Return the Gaussians published last as a complete delta, ``None`` before the first."""
        with self._lock:
            rows = self._gaussians_mirror.rows
            return None if rows is None else delta_message(complete_delta(self._version, rows), self._head)

    def forget(self, epoch: int) -> None:
        """The map is empty, and the next is that of ``epoch``: tell who follows it and who comes late.

        Never waits: where a map is being published, the thread that does it publishes the empty one after.
        """
        self._epoch = epoch
        self._turns.leave(self._publish_nothing)

    def _publish_nothing(self) -> None:
        with self._lock:
            self._points_mirror, self._gaussians_mirror = RowMirror(), RowMirror()
            if not self._version:
                return
            self._version += 1
            head, nothing = self._head, np.empty(0, gaussian_type(1))
            self._delta.publish(delta_message(complete_delta(self._version, nothing), head))
        for publisher in (self._map_points, self._generated):
            publisher.publish(to_message(np.empty(0, CLOUD_TYPE), head))
        self._gaussians.publish(to_message(nothing, head))
        if self._splats is not None:
            stamp = Time.from_msg(head.stamp).nanoseconds
            self._splats.publish(splat_array_bytes(nothing, head.frame_id, stamp))
        self._path.publish(path_message(head.frame_id, []))
        self._frusta.publish(frusta_message(head.frame_id, []))
        if self._field is not None:
            self._field.publish(to_message(np.empty(0, FIELD_TYPE), head))
        if self._grid is not None:
            grid = occupancy_grid(np.empty(0, CLOUD_TYPE), self._grid_settings)
            self._grid.publish(grid_message(grid, head))

    def status(self, status: MapStatus) -> None:
        """Publish the status."""
        self._status.publish(status)

    def diagnostics(self, array: DiagnosticArray) -> None:
        """Publish diagnostics."""
        self._diagnostics.publish(array)

    def close(self) -> None:
        """End every publisher, where ROS has not ended them already."""
        if not rclpy.ok():
            return
        maps = (self._points, self._map_points, self._generated, self._gaussians, self._delta)
        optional = (self._grid, self._splats, self._field)
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
