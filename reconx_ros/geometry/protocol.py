"""What every geometry room gives: a pointmap with confidence for each view, and its camera.

Confidence inside geometry is C >= 1 as in DUSt3R; on the map and in messages it is c in [0, 1] with
``c = 1 - 1/C`` (``map_confidence``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress

OBSERVED = 0
GENERATED = 1


@dataclass(frozen=True, eq=False)
class PointMap:
    """Where each pixel of one view lies in the world (DUSt3R, section 3).

    Attributes:
        points: [H, W, 3] float32 in the world, NaN where unknown.
        normals: [H, W, 3] float32 unit vectors in the world, toward the camera, NaN where unknown.
        confidence: [H, W] float32, C >= 1; exactly 1 where the point is unknown.
        deviation: relative standard deviation of a right point where C - 1 is the odds that a point is
            right (stereo); None where C - 1 is an inverse variance itself (``geometry.confidence``).
        shared: whether C of a point rests on what the other views say too (a triangulated track, pairs of
            views): then the same evidence comes with each of them, and must not add up.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    confidence: NDArray[np.float32]
    deviation: float | None = None
    shared: bool = False

    @property
    def known(self) -> NDArray[np.bool_]:
        """[H, W] bool, where there is a point."""
        return np.isfinite(self.points[..., 2])

    @staticmethod
    def unknown(camera: Camera) -> "PointMap":
        """Return a pointmap of the size of ``camera`` that knows nothing."""
        shape = (camera.height, camera.width)
        nothing = np.full((*shape, 3), np.nan, np.float32)
        return PointMap(nothing, nothing.copy(), np.ones(shape, np.float32))


@dataclass(frozen=True, eq=False)
class PointCloud:
    """The global cloud: one row a point.

    Attributes:
        points: [N, 3] float32 in the world.
        colors: [N, 3] uint8 RGB.
        normals: [N, 3] float32, unit.
        confidence: [N] float32, C >= 1 (see ``CloudFusion``).
        provenance: [N] uint8, ``OBSERVED`` or ``GENERATED``.
        views: [N] int32, number of views that saw the point.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    normals: NDArray[np.float32]
    confidence: NDArray[np.float32]
    provenance: NDArray[np.uint8]
    views: NDArray[np.int32]

    def __len__(self) -> int:
        """Return N."""
        return len(self.points)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "PointCloud":
        """Return the points at ``rows`` (mask [N] or indices)."""
        return PointCloud(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class GeometryEstimate:
    """The answer of a geometry room.

    Attributes:
        keyframes: the views, with refined cameras where the room refines them; in the order of the
            input, or of ``only`` where that was given. Without ``only``, a view without pose that a room
            which finds the cameras itself could not place is missing.
        pointmaps: one for each of ``keyframes``.
        metric: whether the world is in metres.
        excluded: by name of keyframe, one line that says why it must not teach: its pose or intrinsics do
            not fit the images. Its pointmap is unknown everywhere.
        notes: what else the user should know, one line each.
    """

    keyframes: tuple[Keyframe, ...]
    pointmaps: tuple[PointMap, ...]
    metric: bool
    excluded: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def usable(self) -> "GeometryEstimate":
        """Return the estimate without the excluded keyframes."""
        pairs = zip(self.keyframes, self.pointmaps, strict=True)
        kept = [(view, pointmap) for view, pointmap in pairs if view.name not in self.excluded]
        views, pointmaps = tuple(view for view, _ in kept), tuple(pointmap for _, pointmap in kept)
        return replace(self, keyframes=views, pointmaps=pointmaps)

    def warnings(self, asked: Sequence[Keyframe]) -> list[str]:
        """Return what the user should know, one line each.

        That is which of the views ``asked`` are missing, if any view is there, why views are excluded, and
        the room's notes.
        """
        there = {keyframe.name for keyframe in self.keyframes}
        lost = [k.name for k in asked if k.name not in there and k.name not in self.excluded]
        lines = [f"{name} is left out: {why}" for name, why in self.excluded.items()]
        if lost and there:
            lines.insert(0, f"{len(lost)} of {len(asked)} views do not connect: {', '.join(lost)}")
        return [*lines, *self.notes]


class Geometry(Protocol):
    """A geometry room: rgbd, plane-sweep stereo, DUSt3R."""

    name: str

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe.

        Args:
            keyframes: the views.
            progress: told about each view done; asked whether to stop.
            only: indices of the views wanted (a live map asks for the new ones); all the others
                serve as support only.

        Raises:
            GeometryError: these views give no geometry (no depth, no overlap, no poses, ...).
        """


def map_confidence(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map C in [1, inf) to c = 1 - 1/C in [0, 1)."""
    return np.asarray(1.0 - 1.0 / np.maximum(confidence, 1.0), dtype=np.float32)
