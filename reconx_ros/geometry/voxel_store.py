"""Voxels of a cloud: a row each."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

SUMS = ("weight", "values", "views", "through", "shared", "sharing")
"""Fields of ``Voxels`` that add up where two become one."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels; the sums are weighted by C - 1.

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

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Voxels":
        """Return a copy of ``rows`` (mask or indices)."""
        return Voxels(*(getattr(self, field.name)[rows].copy() for field in fields(self)))

    @staticmethod
    def concatenate(parts: Iterable["Voxels"]) -> "Voxels":
        """Return the voxels of all ``parts``, which share no key."""
        parts = [Voxels.empty(), *parts]
        return Voxels(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Voxels)))

    def merged(self, new: "Voxels") -> tuple["Voxels", NDArray[np.bool_]]:
        """Return these with ``new`` in those of equal key and the others behind, and which of ``new``.

        A voxel that is there already keeps its id and group.
        """
        _, here, there = np.intersect1d(self.keys, new.keys, assume_unique=True, return_indices=True)
        fresh = np.ones(len(new), bool)
        fresh[there] = False
        both = Voxels.concatenate([self, new.select(fresh)])
        for name in SUMS:
            getattr(both, name)[here] += getattr(new, name)[there]
        both.provenance[here] = np.minimum(both.provenance[here], new.provenance[there])
        return both, fresh

    def in_order(self) -> "Voxels":
        """Return the same in the order they were created in."""
        return self.select(np.argsort(self.ids, kind="stable"))

    def regrouped(self, old: int, new: int) -> "Voxels":
        """Return the same where those of the group ``old`` belong to ``new``."""
        return replace(self, group=np.where(self.group == old, np.int32(new), self.group))
