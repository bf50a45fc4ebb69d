"""Keyframes that no disk takes: the most useful of them, in memory."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.buffer import KeyframeBuffer
from reconx_ros.ros.link_commands import AddKeyframe


class MemoryKeyframes:
    """Keyframes with their optical frames.

    Args:
        capacity: most keyframes; beyond it the most redundant leaves.
    """

    def __init__(self, capacity: int) -> None:
        self._buffer = KeyframeBuffer(capacity)
        self._frames: dict[str, str] = {}

    def __len__(self) -> int:
        """Return their number."""
        return len(self._buffer)

    def __contains__(self, name: object) -> bool:
        """Return whether a keyframe is here."""
        return name in self._frames

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(keyframe.name for keyframe in self._buffer.keyframes)

    def add(self, command: AddKeyframe) -> None:
        """Keep a keyframe."""
        self._frames[command.keyframe.name] = command.camera_frame
        gone = self._buffer.add(command.keyframe)
        if gone is not None:
            del self._frames[gone.name]

    def fetch(self, name: str) -> AddKeyframe | None:
        """Return a keyframe, ``None`` where it is not here; from any thread."""
        for keyframe in self._buffer.keyframes:
            if keyframe.name == name:
                return AddKeyframe(keyframe, self._frames.get(name, ""))
        return None

    def remove(self, gone: Container[str]) -> None:
        """Let keyframes go."""
        kept = [keyframe for keyframe in self._buffer.keyframes if keyframe.name not in gone]
        self._buffer.clear()
        for keyframe in kept:
            self._buffer.add(keyframe)
        self._frames = {keyframe.name: self._frames[keyframe.name] for keyframe in kept}

    def correct(self, poses: Mapping[str, NDArray[np.float64]]) -> None:
        """Let keyframes be at new poses, [4, 4] world_from_camera by name."""
        kept = self._buffer.keyframes
        if any(keyframe.name in poses for keyframe in kept):
            self._buffer.clear()
            for keyframe in kept:
                pose = poses.get(keyframe.name, keyframe.camera.world_from_camera)
                self._buffer.add(replace(keyframe, camera=keyframe.camera.moved(pose)))

    def clear(self) -> None:
        """Let all of them go."""
        self._buffer.clear()
        self._frames.clear()

    def replay(self) -> Iterator[AddKeyframe]:
        """Give those that are here now, for a worker that catches up."""
        now = [AddKeyframe(k, self._frames[k.name], catching_up=True) for k in self._buffer.keyframes]
        return iter(now)
