"""The node's publishers: what the worker gives becomes messages."""

from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Path
from rclpy.node import Node
from reconx_msgs.msg import MapStatus
from sensor_msgs.msg import Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.ros.cloud_message import to_message
from reconx_ros.ros.link import Added, MapUpdate
from reconx_ros.ros.messages import frusta_message, header, image_message, path_message
from reconx_ros.ros.qos import latched, reliable
from reconx_ros.ros.rows import Rows


class Outputs:
    """Every publisher of the node.

    Points for planners are filtered: observed ones of enough confidence, unless told otherwise.

    Args:
        node: that publishes.
        min_confidence: gives the live parameter, in [0, 1].
        with_generated: gives the live parameter.
    """

    def __init__(
        self, node: Node, min_confidence: Callable[[], float], with_generated: Callable[[], bool]
    ) -> None:
        self._node, self._min_confidence, self._with_generated = node, min_confidence, with_generated
        self._points = node.create_publisher(PointCloud2, "~/points", reliable(5))
        self._map_points = node.create_publisher(PointCloud2, "~/map_points", latched())
        self._gaussians = node.create_publisher(PointCloud2, "~/gaussians", latched())
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
        """Publish the whole map in the ``world`` frame, stamped with its newest keyframe's time."""
        stamp = max((stamp for stamp, _ in update.views), default=0)
        head = header(world, stamp)
        self._map_points.publish(to_message(self._filtered(update.points), head))
        self._gaussians.publish(to_message(update.gaussians, head))
        self._path.publish(path_message(world, update.views))
        self._frusta.publish(frusta_message(world, [camera for _, camera in update.views]))
        if update.preview is not None:
            self._preview.publish(image_message(update.preview, header(update.preview_frame, stamp)))

    def status(self, status: MapStatus) -> None:
        """Publish the status."""
        self._status.publish(status)

    def diagnostics(self, array: DiagnosticArray) -> None:
        """Publish diagnostics."""
        self._diagnostics.publish(array)

    def close(self) -> None:
        """End every publisher."""
        maps = (self._points, self._map_points, self._gaussians, self._path, self._frusta)
        for publisher in (*maps, self._preview, self._status, self._diagnostics):
            self._node.destroy_publisher(publisher)

    def _filtered(self, rows: Rows) -> Rows:
        keep = rows["confidence"] >= np.float32(self._min_confidence())
        if not self._with_generated():
            keep &= rows["provenance"] == OBSERVED
        return rows if keep.all() else rows[keep]
