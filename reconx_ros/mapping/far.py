"""What planners still see of submaps that rest on disk: their points, thinned out, in memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.voxel_store import Voxels
from reconx_ros.mapping.config import MappingConfig


@dataclass(frozen=True, eq=False)
class FarPoints:
    """N points, the most confident of each voxel.

    Attributes:
        points: [N, 3] float32 metres in the world.
        colors: [N, 3] uint8.
        confidence: [N] float32, C >= 1.
        provenance: [N] uint8.
        ids: [N] int64, those they have in the cloud.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    provenance: NDArray[np.uint8]
    ids: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @staticmethod
    def none() -> "FarPoints":
        """Return no points."""
        return FarPoints.of(Voxels.empty(), 1.0)

    @staticmethod
    def of(voxels: Voxels, voxel_size: float) -> "FarPoints":
        """Return one point of each provenance a voxel of ``voxel_size`` metres."""
        means, order = voxels.means(), np.argsort(-voxels.weight, kind="stable")
        cells = np.floor(means[:, :3] / voxel_size).astype(np.int64)
        kinds = np.column_stack([cells, voxels.provenance])
        rows = np.sort(order[np.unique(kinds[order], axis=0, return_index=True)[1]])
        return FarPoints(
            means[rows, :3].astype(np.float32),
            np.rint(means[rows, 3:6]).astype(np.uint8),
            voxels.confidence()[rows],
            voxels.provenance[rows],
            voxels.ids[rows],
        )


class FarAway:
    """The far points of every submap that rests.

    Args:
        config: how fine, and how many at most.
    """

    def __init__(self, config: MappingConfig) -> None:
        self._config = config
        self._points: dict[int, FarPoints] = {}
        self._given: tuple[frozenset[int], FarPoints] | None = None

    def put(self, number: int, voxels: Voxels) -> None:
        """Note a submap that went to rest."""
        self._given = None
        if self._config.far_points:
            self._points[number] = FarPoints.of(voxels, self._config.far_voxel)

    def drop(self, number: int) -> None:
        """Forget a submap that is back."""
        self._given = None
        self._points.pop(number, None)

    def move(self, motions: Mapping[int, NDArray[np.float64]]) -> None:
        """Move submaps by their rigid motions [4, 4]; those that do not rest are ignored."""
        for number in self._points.keys() & motions.keys():
            far, motion = self._points[number], motions[number]
            moved = far.points @ motion[:3, :3].T + motion[:3, 3]
            self._points[number] = replace(far, points=moved.astype(np.float32))
            self._given = None

    def nearest(self, numbers: Iterable[int]) -> FarPoints:
        """Return the points of the submaps ``numbers``, whole ones, as long as ``far_points`` lasts.

        While none of them changes, the same object is returned.
        """
        chosen, left = list[int](), self._config.far_points
        for number in (n for n in numbers if n in self._points):
            left -= len(self._points[number])
            if left < 0:
                break
            chosen.append(number)
        if self._given is None or self._given[0] != frozenset(chosen):
            parts = [FarPoints.none(), *(self._points[number] for number in chosen)]
            columns = ([getattr(one, field.name) for one in parts] for field in fields(FarPoints))
            self._given = frozenset(chosen), FarPoints(*(np.concatenate(column) for column in columns))
        return self._given[1]
