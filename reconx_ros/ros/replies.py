"""What the worker tells the node: its arrays, packed."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.protocol import OBSERVED, PointMap, map_confidence
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.ros.link import MapUpdate
from reconx_ros.ros.rows import Rows, gaussian_rows, point_rows
from reconx_ros.splatting.rasterize import render_view


def optical_rows(keyframe: Keyframe, pointmap: PointMap) -> Rows:
    """Return the known points of a keyframe in its own optical frame."""
    known = pointmap.known
    camera_from_world = keyframe.camera.camera_from_world
    local = pointmap.points[known] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    provenance = np.full(len(local), OBSERVED, np.uint8)
    confidence = map_confidence(pointmap.confidence[known])
    return point_rows(local.astype(np.float32), keyframe.image[known], confidence, provenance)


def map_update(epoch: int, snapshot: Reconstruction, camera_frame: str) -> MapUpdate:
    """Return ``snapshot`` as it travels to the node."""
    cloud = snapshot.cloud
    loss = snapshot.report.get("optimisation", {}).get("loss")
    return MapUpdate(
        epoch,
        point_rows(cloud.points, cloud.colors, map_confidence(cloud.confidence), cloud.provenance),
        gaussian_rows(snapshot.gaussians),
        tuple((k.stamp_ns, k.camera) for k in snapshot.keyframes),
        loss,
        dict(snapshot.report.get("seconds", {})),
        _preview(snapshot),
        camera_frame,
    )


def _preview(snapshot: Reconstruction) -> NDArray[np.uint8] | None:
    """Return the map as the newest keyframe's camera sees it."""
    if not snapshot.keyframes:
        return None
    camera = snapshot.keyframes[-1].camera
    image, _, alpha = render_view(snapshot.gaussians, camera)
    return (snapshot.appearance.develop(image, alpha, camera) * 255 + 0.5).astype(np.uint8)
