"""A box in the world, and what of the map lies in it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.mapping.archive import RestingSubmap
from reconx_ros.sources.rigid import rigid_inverse

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Box:
    """A box.

    Attributes:
        low: [3] smallest corner.
        high: [3] largest corner.
        box_from_world: [4, 4] to the frame of the corners.
    """

    low: Array
    high: Array
    box_from_world: Array

    @staticmethod
    def of(low: Array, high: Array, world_from_box: Array | None) -> "Box":
        """Return the box with these corners in its own frame; the world's if ``None``."""
        return Box(low, high, np.eye(4) if world_from_box is None else rigid_inverse(world_from_box))

    def inside(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which of ``points`` [N, 3] lie in the box."""
        local = self._local(points)
        return np.asarray(((local >= self.low) & (local <= self.high)).all(axis=1))

    def meets(self, corners: Array) -> bool:
        """Return whether what has these ``corners`` [N, 3] may reach into the box; never without any."""
        local = self._local(corners)
        reaches = (local.max(axis=0, initial=-np.inf) >= self.low) & (
            local.min(axis=0, initial=np.inf) <= self.high
        )
        return bool(reaches.all())

    def cleared(self, submap: RestingSubmap) -> tuple[RestingSubmap, int]:
        """Return ``submap`` without the points and Gaussians in the box, and how many those were."""
        points = self.inside(submap.voxels.means()[:, :3].astype(np.float32))
        count, taken = int(np.count_nonzero(points)), submap.taken
        if taken is not None:
            gaussians = self.inside(taken.gaussians.means)
            count, taken = count + int(np.count_nonzero(gaussians)), taken.select(~gaussians)
        return replace(submap, voxels=submap.voxels.select(~points), taken=taken), count

    def _local(self, points: NDArray[np.floating]) -> Array:
        return points @ self.box_from_world[:3, :3].T + self.box_from_world[:3, 3]
