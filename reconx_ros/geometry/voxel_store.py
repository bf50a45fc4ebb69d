"""The growing cloud: a row a voxel."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False)
class Voxels:
    """Voxels in order of creation; the sums are weighted by C - 1.

    Attributes:
        keys: [N] int64, distinct (``voxel_keys``).
        weight: [N] float64, sum of the weights of the views.
        values: [N, 9] float64, weighted sums of position, colour and normal.
        views: [N] int32, how many views saw it.
        through: [N] int32, how many views saw through it.
        provenance: [N] uint8.
        ids: [N] int64, distinct; a voxel keeps its id for life.
        group: [N] int32, the group (submap) that created it, and moves with it.
    """

    keys: NDArray[np.int64]
    weight: NDArray[np.float64]
    values: NDArray[np.float64]
    views: NDArray[np.int32]
    through: NDArray[np.int32]
    provenance: NDArray[np.uint8]
    ids: NDArray[np.int64]
    group: NDArray[np.int32]

    def __len__(self) -> int:
        """Return N."""
        return len(self.keys)

    @staticmethod
    def empty() -> "Voxels":
        """Return no voxels."""
        none = np.empty(0, np.int32)
        long, provenance = np.empty(0, np.int64), np.empty(0, np.uint8)
        return Voxels(long, np.empty(0), np.empty((0, 9)), none, none, provenance, long, none)

    def means(self) -> NDArray[np.float64]:
        """Return the weighted means [N, 9] of position, colour and normal."""
        return np.asarray(self.values / self.weight[:, None], dtype=np.float64)

    def keep(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> None:
        """Drop all but ``rows`` (mask or indices)."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[rows])

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Voxels":
        """Return a copy of ``rows`` (mask or indices)."""
        return Voxels(*(getattr(self, field.name)[rows].copy() for field in fields(self)))

    def insert(self, new: "Voxels") -> None:
        """Merge ``new`` into the voxels of equal key; the others are appended in their order.

        A voxel that is there already keeps its id and group.
        """
        _, here, there = np.intersect1d(self.keys, new.keys, assume_unique=True, return_indices=True)
        for name in ("weight", "values", "views", "through"):
            getattr(self, name)[here] += getattr(new, name)[there]
        self.provenance[here] = np.minimum(self.provenance[here], new.provenance[there])
        fresh = np.ones(len(new), bool)
        fresh[there] = False
        for field in fields(self):
            both = [getattr(self, field.name), getattr(new, field.name)[fresh]]
            setattr(self, field.name, np.concatenate(both))

    def most_confident(self, most: int) -> NDArray[np.intp]:
        """Return the rows, ascending, of the ``most`` voxels of greatest weight (then smallest key)."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(np.lexsort((self.keys, -self.weight))[:most])
