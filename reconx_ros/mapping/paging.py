"""Submaps between memory and disk: far ones rest, near ones are fetched."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.protocol import Geometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.archive import Archive, RestingSubmap
from reconx_ros.mapping.box import Box
from reconx_ros.mapping.far import FarAway, FarPoints
from reconx_ros.mapping.near import NearMap
from reconx_ros.mapping.undo import all_or_nothing

Room = Callable[[list[Keyframe]], Geometry]


class Paging:
    """The submaps that rest on disk, and what planners still see of them.

    Args:
        config: every stage's settings.
        scratch: folder for them; ``None`` for a temporary one.

    Attributes:
        archive: holds them.
    """

    def __init__(self, config: ReconxConfig, scratch: Path | None) -> None:
        self.archive = Archive(scratch, config.geometry.fusion.voxel_size)
        self._far = FarAway(config.mapping)

    def far(self, nearest: Iterable[int]) -> FarPoints:
        """Return points of the submaps that rest, thinned out, in the order of ``nearest``."""
        return self._far.nearest(nearest)

    def turn(self, near: NearMap, wanted: set[int], room: Room) -> None:
        """Put to disk what is not ``wanted`` of ``near``, and fetch what is.

        Raises:
            MapError: a submap cannot be put to disk or read back; it stays where it is.
            GeometryError: the views of one that is to come back have no geometry; it stays on disk.
        """
        for number in self.archive:
            if number in wanted:
                with all_or_nothing(near):
                    near.put(number, self.archive.read(number), room)
                self.archive.remove(number)
                self._far.drop(number)
        for number in set(near.groups.values()) - wanted - set(self.archive):
            with all_or_nothing(near):
                self._store(number, near.take(number))

    def clear(self, box: Box) -> int:
        """Remove points and Gaussians that lie in a box, on disk; return their number.

        Raises:
            MapError: a submap cannot be read back or put to disk; it is as it was.
        """
        removed = 0
        for number in self.archive:
            if box.meets(self.archive.corners(number)):
                submap, count = box.cleared(self.archive.read(number))
                if count:
                    self._store(number, submap)
                removed += count
        return removed

    def move(self, motions: Mapping[int, NDArray[np.float64]]) -> None:
        """Note corrections of submaps; those that do not rest are ignored."""
        self.archive.move(motions)
        self._far.move(motions)

    def _store(self, number: int, submap: RestingSubmap) -> None:
        self.archive.store(number, submap)
        self._far.put(number, submap.voxels)
