"""Small conversions between ROS messages and our types."""

import array
import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from nav_msgs.msg import OccupancyGrid, Path
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from reconx_ros.camera import Camera
from reconx_ros.ros.occupancy import Grid
from reconx_ros.sources.rigid import pose_from_matrix

FRUSTUM_DEPTH = 0.15
"""Metres from the apex of a drawn camera to its image plane."""


def time_message(stamp_ns: int) -> Time:
    """Return nanoseconds as ``builtin_interfaces/Time``."""
    return Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)


def header(frame_id: str, stamp_ns: int) -> Header:
    """Return a header."""
    return Header(frame_id=frame_id, stamp=time_message(stamp_ns))


def pose_message(matrix: NDArray[np.float64]) -> Pose:
    """Return a rigid [4, 4] matrix as ``geometry_msgs/Pose`` (quaternion xyzw)."""
    (x, y, z), (qx, qy, qz, qw) = (part.tolist() for part in pose_from_matrix(matrix))
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def path_message(frame_id: str, poses: Sequence[tuple[int, Camera]]) -> Path:
    """Return keyframe stamps and cameras as a path of optical frames."""
    stamped = [
        PoseStamped(header=header(frame_id, stamp), pose=pose_message(camera.world_from_camera))
        for stamp, camera in poses
    ]
    return Path(header=header(frame_id, poses[-1][0] if poses else 0), poses=stamped)


def frusta_message(frame_id: str, cameras: Sequence[Camera]) -> MarkerArray:
    """Return the cameras as drawn pyramids: one line list."""
    marker = Marker(header=header(frame_id, 0), ns="keyframes", type=Marker.LINE_LIST)
    marker.action = Marker.ADD if cameras else Marker.DELETEALL
    marker.pose.orientation.w = 1.0
    marker.scale.x = 0.005
    marker.color = ColorRGBA(r=1.0, g=0.6, b=0.1, a=1.0)
    marker.points = [Point(x=x, y=y, z=z) for camera in cameras for x, y, z in _frustum(camera).tolist()]
    return MarkerArray(markers=[marker])


def image_message(image: NDArray[np.uint8], head: Header) -> Image:
    """Return an [H, W, 3] RGB image as ``rgb8``."""
    height, width = image.shape[:2]
    data = array.array("B", image.tobytes())
    return Image(header=head, height=height, width=width, encoding="rgb8", step=3 * width, data=data)


def grid_message(grid: Grid, head: Header) -> OccupancyGrid:
    """Return a floor plan as ``nav_msgs/OccupancyGrid``."""
    rows, columns = grid.cells.shape
    message = OccupancyGrid(header=head, data=array.array("b", grid.cells.tobytes()))
    message.info.map_load_time = head.stamp
    message.info.resolution, message.info.width, message.info.height = grid.resolution, columns, rows
    message.info.origin.position.x, message.info.origin.position.y = grid.origin.tolist()
    message.info.origin.orientation.w = 1.0
    return message


def finite(value: float | None) -> float:
    """Return ``value``, NaN for ``None``: the messages' sign for unknown."""
    return math.nan if value is None else float(value)


def _frustum(camera: Camera) -> NDArray[np.float64]:
    """Return [16, 3] ends of the 8 edges of a camera's pyramid in the world."""
    width, height = camera.width - 1, camera.height - 1
    pixels = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], dtype=np.float64)
    corners = pixels @ np.linalg.inv(camera.intrinsics).T * FRUSTUM_DEPTH
    rotation, centre = camera.world_from_camera[:3, :3], camera.centre
    corners = corners @ rotation.T + centre
    sides = [point for corner in corners for point in (centre, corner)]
    rim = [point for i in range(4) for point in (corners[i], corners[(i + 1) % 4])]
    return np.array(sides + rim)
