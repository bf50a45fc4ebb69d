"""What every geometry room gives: a pointmap with confidence for each view, and its camera.

Confidence inside geometry is C >= 1 as in DUSt3R; on the map and in messages it is c in [0, 1] with
``c = 1 - 1/C`` (``map_confidence``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    confidence: NDArray[np.float32]
    deviation: float | None = None

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
        confidence: [N] float32, C >= 1.
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


@dataclass(frozen=True, eq=False)
class GeometryEstimate:
    """The answer of a geometry room.

    Attributes:
        keyframes: the views, with refined cameras where the room refines them; the same order and
            number as the input, or as ``only`` where that was given.
        pointmaps: one for each of ``keyframes``.
        metric: whether the world is in metres.
    """

    keyframes: tuple[Keyframe, ...]
    pointmaps: tuple[PointMap, ...]
    metric: bool


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
