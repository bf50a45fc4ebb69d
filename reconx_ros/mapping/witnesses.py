"""Keyframes that the live map has replaced, and which of them nobody needs any more.

A replaced view is trained on no longer, but points came of it. Whoever builds the map again from its
keyframes (a worker that starts after a crash) needs it while it saw a surface that no other view shows;
then it is a *witness*. Views that show all of it relieve it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import Footprint, shown

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Witness:
    """A replaced view.

    Attributes:
        footprint: what it saw.
        group: the submap it moves with.
    """

    footprint: Footprint
    group: int


class Witnesses:
    """The replaced views that saw something nobody else shows."""

    def __init__(self) -> None:
        self._all: dict[str, Witness] = {}

    def __len__(self) -> int:
        """Return their number."""
        return len(self._all)

    def replace(self, gone: Mapping[str, tuple[Keyframe, int]], staying: Sequence[Keyframe]) -> list[str]:
        """Take views that were replaced, with their submaps; return those that are not needed any more.

        Args:
            gone: keyframe and submap by name.
            staying: the keyframes of the map, the newest last.

        Returns:
            Names, of these and of earlier witnesses.
        """
        self._all |= {name: Witness(Footprint.of(view), group) for name, (view, group) in gone.items()}
        others = [Footprint.of(view) for view in reversed(staying)]
        beside = [name for name, each in self._all.items() if shown(each.footprint, others[0]).any()]
        relieved = []
        for name in beside:
            witness = self._all[name]
            rest = (other.footprint for key, other in self._all.items() if key != name)
            if _covered(witness.footprint, [*others, *rest]):
                del self._all[name]  # at once: two that show the same must not relieve each other
                relieved.append(name)
        return relieved

    def regroup(self, old: int, new: int) -> None:
        """Let what belongs to the submap ``old`` belong to ``new``."""
        self._all = {
            name: replace(each, group=new) if each.group == old else each
            for name, each in self._all.items()
        }

    def move(self, motions: Mapping[int, Array]) -> None:
        """Move each by the rigid motion [4, 4] of its submap."""
        self._all = {
            name: replace(each, footprint=each.footprint.moved(motions[each.group]))
            if each.group in motions
            else each
            for name, each in self._all.items()
        }


def _covered(footprint: Footprint, others: Iterable[Footprint]) -> bool:
    """Return whether the ``others`` together show every sample of a view."""
    missing = np.ones(len(footprint.points), bool)
    for other in others:
        missing &= ~shown(footprint, other)
        if not missing.any():
            return True
    return False
