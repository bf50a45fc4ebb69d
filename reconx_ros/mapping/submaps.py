"""Submaps: groups of keyframes that were taken near each other in space and path, and move as one.

A submap is the unit of correction (drift within it is small, so a rigid motion corrects it) and the
unit of memory (far ones rest on disk).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.mapping.config import MappingConfig
from reconx_ros.sources.rigid import rigid_inverse

Array = NDArray[np.float64]

LOADED = 0
"""The group of a map that was loaded: nobody knows its keyframes, so it never moves."""


@dataclass
class Submap:
    """A group of keyframes.

    Attributes:
        number: of the group, from 1.
        names: of its keyframes, in order.
        centre: [3] where its first camera was, corrected with it.
        travelled: metres the camera had travelled when its newest keyframe came.
    """

    number: int
    centre: Array
    travelled: float
    names: list[str] = field(default_factory=list)


class Submaps:
    """Assigns keyframes to submaps, and says which of them are near.

    Attributes:
        all: by number; the numbers of submaps grow.
    """

    def __init__(self, config: MappingConfig) -> None:
        self.all: dict[int, Submap] = {}
        self._config = config
        self._next = LOADED + 1
        self._travelled = 0.0
        self._taken_at: dict[str, float] = {}
        self._last: Array | None = None
        self._current: Submap | None = None

    def next(self, camera: Camera) -> int:
        """Return the number of the submap a keyframe here would join.

        That is the nearest submap that has room, whose centre is within ``submap_radius`` and where
        the camera was at most ``rejoin_path`` metres of path ago; else a new one.
        """
        travelled = self._travelled + self._step(camera)
        chosen = min(
            (submap for submap in self.all.values() if self._open(submap, camera, travelled)),
            key=lambda submap: float(np.linalg.norm(submap.centre - camera.centre)),
            default=None,
        )
        return self._next if chosen is None else chosen.number

    def assign(self, name: str, camera: Camera) -> Submap:
        """Return the submap of a new keyframe, which is its newest member now (see ``next``)."""
        number = self.next(camera)
        self._next = max(self._next, number + 1)
        self._travelled += self._step(camera)
        self._last = camera.centre.copy()
        chosen = self.all.setdefault(number, Submap(number, camera.centre.copy(), 0.0))
        chosen.names.append(name)
        chosen.travelled = self._taken_at[name] = self._travelled
        self._current = chosen
        return chosen

    def outlived(self, name: str) -> bool:
        """Return whether the camera took a keyframe more than ``rejoin_path`` of its way ago."""
        return self._travelled - self._taken_at[name] > self._config.rejoin_path

    def leave(self, name: str, number: int) -> None:
        """Take a keyframe out of its submap."""
        self.all[number].names.remove(name)
        del self._taken_at[name]

    def absorb(self, number: int, into: int) -> bool:
        """Put the keyframes left in a submap to those of another, if there is room; return whether."""
        names, others = self.all[number].names, self.all[into].names
        room = len(names) + len(others) <= self._config.submap_keyframes
        if room:
            others[:0] = names  # the newest stays the last
            del self.all[number]
        return room

    def motions(self, before: Mapping[str, Array], after: Mapping[str, Array]) -> dict[int, Array]:
        """Return how each submap has to move, rigid [4, 4], where poses of its keyframes are corrected.

        The keyframe in the middle of a submap speaks for it; in the submap that is growing the
        newest does, so that mapping goes on without a step.

        Args:
            before: world_from_camera of keyframes by name.
            after: corrected poses; names that ``before`` lacks are ignored.
        """
        found = {}
        for submap in self.all.values():
            names = [name for name in submap.names if name in after and name in before]
            if names:
                speaker = names[-1] if submap is self._current else names[len(names) // 2]
                found[submap.number] = after[speaker] @ rigid_inverse(before[speaker])
        return found

    def moved(self, motions: Mapping[int, Array]) -> None:
        """Note that submaps have moved."""
        for number, motion in motions.items():
            submap = self.all[number]
            submap.centre = motion[:3, :3] @ submap.centre + motion[:3, 3]
        if self._current is not None and self._last is not None and self._current.number in motions:
            motion = motions[self._current.number]
            self._last = motion[:3, :3] @ self._last + motion[:3, 3]

    def active(self) -> set[int]:
        """Return the submaps that should be in memory: near the newest keyframe, the nearest first."""
        if self._last is None:
            return set(self.all)
        near = [n for n, distance in self.nearest().items() if distance <= self._config.active_radius]
        return set(near[: self._config.max_active])

    def nearest(self) -> dict[int, float]:
        """Return every submap's distance from the newest keyframe, the nearest first; its own is at 0."""
        if self._last is None or self._current is None:
            return dict.fromkeys(self.all, 0.0)
        current = self._current.number
        distance = {n: float(np.linalg.norm(s.centre - self._last)) for n, s in self.all.items()}
        distance[current] = 0.0
        order = sorted(distance, key=lambda n: (n != current, distance[n], -n))
        return {number: distance[number] for number in order}

    def _step(self, camera: Camera) -> float:
        return 0.0 if self._last is None else float(np.linalg.norm(camera.centre - self._last))

    def _open(self, submap: Submap, camera: Camera, travelled: float) -> bool:
        room = len(submap.names) < self._config.submap_keyframes
        near = float(np.linalg.norm(submap.centre - camera.centre)) <= self._config.submap_radius
        return room and near and travelled - submap.travelled <= self._config.rejoin_path
