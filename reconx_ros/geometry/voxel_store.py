"""The growing cloud: a row a voxel."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

SUMS = ("weight", "values", "views", "through", "shared", "sharing")
"""Fields of ``Voxels`` that add up where two become one."""


@dataclass(eq=False)
class Voxels:
    """Voxels in order of creation; the sums are weighted by C - 1.

    Whatever changes them puts new arrays in the place of the old ones.

    Inverse variances of views add up. Odds of being right do not: the odds of a view already count how many
    others agree with it, and views share the errors of poses and intrinsics. All views of odds, and those
    whose confidence rests on the same evidence (``PointMap.shared``), are therefore one measurement, of
    their mean weight, and that adds to the others as any measurement does.

    Attributes:
        keys: [N] int64, distinct (``voxel_keys``).
        weight: [N] float64, sum of the weights of the views.
        values: [N, 9] float64, weighted sums of position, colour and normal.
        views: [N] int32, how many views saw it.
        through: [N] int32, how many views saw through it.
        provenance: [N] uint8.
        ids: [N] int64, distinct; a voxel keeps its id for life.
        group: [N] int32, the group (submap) that created it, and moves with it.
        shared: [N] float64, the part of ``weight`` that is averaged over its views.
        sharing: [N] int32, how many of ``views`` that part came with.
    """

    keys: NDArray[np.int64]
    weight: NDArray[np.float64]
    values: NDArray[np.float64]
    views: NDArray[np.int32]
    through: NDArray[np.int32]
    provenance: NDArray[np.uint8]
    ids: NDArray[np.int64]
    group: NDArray[np.int32]
    shared: NDArray[np.float64]
    sharing: NDArray[np.int32]

    def __len__(self) -> int:
        """Return N."""
        return len(self.keys)

    @staticmethod
    def empty() -> "Voxels":
        """Return no voxels."""
        none, weight = np.empty(0, np.int32), np.empty(0)
        long, provenance = np.empty(0, np.int64), np.empty(0, np.uint8)
        return Voxels(
            long, weight, np.empty((0, 9)), none, none, provenance, long, none, weight.copy(), none.copy()
        )

    def means(self) -> NDArray[np.float64]:
        """Return the weighted means [N, 9] of position, colour and normal."""
        return np.asarray(self.values / self.weight[:, None], dtype=np.float64)

    def confidence(self) -> NDArray[np.float32]:
        """Return C >= 1, [N]."""
        alone = self.weight - self.shared
        return (1 + alone + self.shared / np.maximum(self.sharing, 1)).astype(np.float32)

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
        fresh = np.ones(len(new), bool)
        fresh[there] = False
        for field in fields(self):  # what the arrays were stays whole, for whoever still has them
            both = [getattr(self, field.name), getattr(new, field.name)[fresh]]
            setattr(self, field.name, np.concatenate(both))
        for name in SUMS:
            getattr(self, name)[here] += getattr(new, name)[there]
        self.provenance[here] = np.minimum(self.provenance[here], new.provenance[there])

    def most_confident(self, most: int) -> NDArray[np.intp]:
        """Return the rows, ascending, of the ``most`` voxels of greatest weight (then smallest key)."""
        if len(self) <= most:
            return np.arange(len(self))
        return np.sort(np.lexsort((self.keys, -self.weight))[:most])
