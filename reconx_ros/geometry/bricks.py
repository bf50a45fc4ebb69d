"""A growing cloud in bricks of voxels: what a view changes is as much as it sees.

A brick is never written into: another takes its place. So whoever took note of the bricks there were
has the cloud of then, at no cost.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.frustum import boxes_in_view
from reconx_ros.geometry.voxel_store import Voxels
from reconx_ros.geometry.voxels import BITS, HALF

SIDE = 6
"""Bits of the voxels along a side of a brick: 64, which is 1.3 m for voxels of 2 cm."""

MASK = (1 << BITS) - 1


class Bricks:
    """Voxels, found by where they are.

    Args:
        voxel_size: in world units.
        side: bits of the voxels along a side of a brick.
    """

    def __init__(self, voxel_size: float, side: int = SIDE) -> None:
        self._voxel_size, self._side = voxel_size, side
        self._all: dict[int, Voxels] = {}

    def __len__(self) -> int:
        """Return the number of voxels."""
        return sum(map(len, self._all.values()))

    def __iter__(self) -> Iterator[int]:
        """Iterate over the numbers of the bricks, which may change meanwhile."""
        return iter(tuple(self._all))

    def __getitem__(self, number: int) -> Voxels:
        """Return the voxels of a brick."""
        return self._all[number]

    def whole(self) -> Voxels:
        """Return all voxels in the order they were created in."""
        return Voxels.concatenate(self._all.values()).in_order()

    def ids(self) -> NDArray[np.int64]:
        """Return the ids of all voxels, in the same order."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *(v.ids for v in self._all.values())]))

    def replace(self, voxels: Voxels) -> None:
        """Hold these voxels, and no others."""
        self._all = {}
        self.insert(voxels)

    def insert(self, new: Voxels) -> NDArray[np.bool_]:
        """Merge voxels of distinct keys; return which of them [M] are at places where none was."""
        numbers = self._numbers(new.keys)
        order = np.argsort(numbers, kind="stable")
        fresh = np.ones(len(new), np.bool_)
        for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(new) else ():
            number, part = int(numbers[rows[0]]), new.select(rows)
            if number in self._all:
                part, fresh[rows] = self._all[number].merged(part)
            self._all[number] = part
        return fresh

    def change(self, number: int, voxels: Voxels) -> None:
        """Let a brick hold other voxels of its own."""
        if len(voxels):
            self._all[number] = voxels
        else:
            del self._all[number]

    def filter(self, stays: Callable[[Voxels], NDArray[np.bool_]]) -> Voxels:
        """Remove what ``stays`` denies (a mask over those it is given); return it, in order of creation."""
        gone = []
        for number in self:
            voxels = self._all[number]
            staying = stays(voxels)
            if not staying.all():
                gone.append(voxels.select(~staying))
                self.change(number, voxels.select(staying))
        return Voxels.concatenate(gone).in_order()

    def in_view(self, camera: Camera, far: float) -> list[int]:
        """Return the bricks that ``camera`` may have in its image up to the depth ``far``."""
        numbers, size = np.fromiter(self._all, np.int64, len(self._all)), self._voxel_size
        first = np.stack([(numbers >> (axis * BITS)) & MASK for axis in (2, 1, 0)], axis=1) << self._side
        low = np.asarray((first - HALF - 1) * size, np.float64)
        high = np.asarray(low + ((1 << self._side) + 2) * size, np.float64)
        chosen = boxes_in_view(camera, low, high, margin=1.0, depth=(0.0, far))
        return [int(number) for number in numbers[chosen]]

    def limit(self, most: int) -> Callable[[Voxels], NDArray[np.bool_]]:
        """Return which voxels are among the ``most`` of greatest weight (then smallest key), as a mask."""
        weight, keys = (
            np.concatenate([getattr(voxels, name) for voxels in self._all.values()])
            for name in ("weight", "keys")
        )
        least = np.partition(weight, len(weight) - most)[len(weight) - most]
        tied = np.sort(keys[weight == least])
        last = tied[most - np.count_nonzero(weight > least) - 1]
        return lambda v: (v.weight > least) | ((v.weight == least) & (v.keys <= last))

    def _numbers(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the brick of each voxel: its key, coarser."""
        axes = [((keys >> (axis * BITS)) & MASK) >> self._side for axis in (2, 1, 0)]
        return np.asarray((axes[0] << (2 * BITS)) | (axes[1] << BITS) | axes[2])
