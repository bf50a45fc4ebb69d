"""Matches over posed views to points: multi-view tracks, triangulated robustly by COLMAP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.colmap import HALF_PIXEL, colmap_camera, colmap_pose
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.geometry.sparse.matching import Matches

if TYPE_CHECKING:
    import pycolmap


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Triangulated points and who sees them.

    Attributes:
        points: [N, 3] float64 in the world.
        observations: [M, 3] int64 rows of (point, view, feature), by point; two views a point at least.
    """

    points: NDArray[np.float64]
    observations: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.points)

    def views(self) -> NDArray[np.int64]:
        """Return [N], the number of views that see each point."""
        seen = np.unique(self.observations[:, :2], axis=0)
        return np.bincount(seen[:, 0], minlength=len(self))


def triangulate(
    cameras: Sequence[Camera],
    features: Sequence[Features],
    matches: Mapping[tuple[int, int], Matches],
    max_error: float,
    min_angle: float,
) -> SparsePoints:
    """Triangulate the tracks that ``matches`` form.

    COLMAP's triangulator: each track by RANSAC over its views, split where it does not agree, then
    extended, merged and filtered.

    Args:
        cameras: of each view; taken as exact.
        features: of each view.
        matches: rows of the features of views (i, j).
        max_error: pixels; observations with a larger reprojection error are left out.
        min_angle: degrees; points whose rays meet under less are left out.

    Returns:
        Points in front of all the cameras that see them; possibly none.
    """
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    graph, scene = _problem(cameras, features, matches)
    manager = pycolmap.ObservationManager(scene, graph)
    triangulator = pycolmap.IncrementalTriangulator(graph, scene, manager)
    options = _options(cameras, max_error, min_angle)
    for image_id in sorted(scene.images):
        triangulator.triangulate_image(options, image_id)
    triangulator.complete_all_tracks(options)
    triangulator.merge_all_tracks(options)
    manager.filter_observations_with_negative_depth()
    manager.filter_all_points3D(max_error, min_angle)
    return _points(scene)


def _problem(
    cameras: Sequence[Camera], features: Sequence[Features], matches: Mapping[tuple[int, int], Matches]
) -> tuple["pycolmap.CorrespondenceGraph", "pycolmap.Reconstruction"]:
    """Return COLMAP's graph of matches and its scene of posed views; its view i + 1 is our view i."""
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    scene, graph = pycolmap.Reconstruction(), pycolmap.CorrespondenceGraph()
    for view, (camera, found) in enumerate(zip(cameras, features, strict=True)):
        scene.add_camera_with_trivial_rig(colmap_camera(camera, view + 1))
        pixels = found.pixels.astype(np.float64) + HALF_PIXEL
        image = pycolmap.Image(str(view), pixels, view + 1, view + 1)
        scene.add_image_with_trivial_frame(image, colmap_pose(camera))
        graph.add_image(view + 1, len(found))
    for (first, second), rows in sorted(matches.items()):
        if len(rows):
            pair = pycolmap.TwoViewGeometry()
            pair.inlier_matches = rows.astype(np.uint32)
            graph.add_two_view_geometry(first + 1, second + 1, pair)
    graph.finalize()
    return graph, scene


def _options(
    cameras: Sequence[Camera], max_error: float, min_angle: float
) -> "pycolmap.IncrementalTriangulatorOptions":
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    focal = float(np.median([camera.intrinsics[0, 0] for camera in cameras]))
    angle = float(np.degrees(np.arctan(max_error / focal)))
    return pycolmap.IncrementalTriangulatorOptions(
        create_max_angle_error=angle,
        continue_max_angle_error=angle,
        merge_max_reproj_error=max_error,
        complete_max_reproj_error=max_error,
        min_angle=min_angle,
        ignore_two_view_tracks=False,
        max_transitivity=3,
        random_seed=0,
    )


def _points(scene: "pycolmap.Reconstruction") -> SparsePoints:
    points: list[NDArray[np.float64]] = []
    observations: list[tuple[int, int, int]] = []
    for point_id in sorted(scene.point3D_ids()):
        point = scene.point3D(point_id)
        seen = point.track.elements
        observations += [(len(points), one.image_id - 1, one.point2D_idx) for one in seen]
        points.append(point.xyz)
    rows = np.array(observations, np.int64).reshape(-1, 3)
    return SparsePoints(np.array(points, np.float64).reshape(-1, 3), rows)
