"""Corrected trajectories: when ``map -> odom`` jumps or SLAM publishes its path, keyframes are re-read.

Odometry is smooth and drifts; ``map -> odom`` holds what localisation found the drift to be (REP-105).
A jump says that the way since the last one was off. Where SLAM publishes its optimised path, that says
where each keyframe is, and jumps are not needed.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.journal_entries import KeyframeLine
from reconx_ros.ros.slam_path import SlamPath, matrices, slerps
from reconx_ros.sources.rigid import pose_from_matrix, rigid_inverse

Array = NDArray[np.float64]
Mode = Literal["spread", "rigid", "ignore"]

MOST_DRIFT = 0.25
"""Share of the way that drift may come to; where more is corrected the robot was localised anew."""

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass
class Placed:
    """Where a keyframe is, as far as it is known now.

    Attributes:
        stamp_ns: its capture time.
        pose: [4, 4] world_from_camera.
        odom_from_camera: [4, 4], ``None`` where odometry is not on the way to the world.
        base_from_camera: [4, 4], ``None`` where the base frame is not known.
        travelled: metres of the way to here.
    """

    stamp_ns: int
    pose: Array
    odom_from_camera: Array | None
    base_from_camera: Array | None
    travelled: float


class Corrections:
    """Notes keyframes and says where they are when that changes.

    Args:
        mode: what a jump of ``map -> odom`` moves: ``spread`` the way since the last jump, the more
            the later (drift grows along the way), or everything alike where it is too large to be
            drift; ``rigid`` everything alike; ``ignore`` nothing.
        min_shift: metres at the camera from which a change is a jump.
        min_turn: degrees from which a change is a jump.

    Attributes:
        count: corrections given out.
    """

    def __init__(self, mode: Mode = "spread", min_shift: float = 0.05, min_turn: float = 1.0) -> None:
        self.count = 0
        self._mode, self._min_shift, self._min_turn = mode, min_shift, np.radians(min_turn)
        self._placed: dict[str, Placed] = {}
        self._odom: Array | None = None
        self._travelled = self._anchor = 0.0
        self._lock = threading.Lock()

    def note(
        self, keyframe: Keyframe, odom_from_camera: Array | None, base_from_camera: Array | None
    ) -> Keyframe:
        """Note a new keyframe; return it, at the pose that holds now.

        A frame taken near a jump was posed with a transform from before it or half way through it;
        its odometry is sound, and what ``map -> odom`` says now places it.
        """
        with self._lock:
            pose = keyframe.camera.world_from_camera
            if self._odom is not None and odom_from_camera is not None and self._mode != "ignore":
                now = self._odom @ odom_from_camera
                if self._is_jump(now @ rigid_inverse(pose), pose[:3, 3]):
                    pose = now
            last = next(reversed(self._placed.values()), None)
            if last is not None:
                self._travelled += float(np.linalg.norm(pose[:3, 3] - last.pose[:3, 3]))
            self._placed[keyframe.name] = Placed(
                keyframe.stamp_ns, pose, odom_from_camera, base_from_camera, self._travelled
            )
        return replace(keyframe, camera=keyframe.camera.moved(pose))

    def resume(self, keyframes: Iterable[KeyframeLine]) -> None:
        """Note the keyframes of a run that is gone on with, where they are now.

        The way to the newest of them counts as corrected: a jump that is drift came after it.
        """
        with self._lock:
            last: Array | None = None
            for line in keyframes:
                if line.pose is None:
                    continue  # of a journal that did not say where
                if last is not None:
                    self._travelled += float(np.linalg.norm(line.pose[:3, 3] - last[:3, 3]))
                last = line.pose
                self._placed[line.name] = Placed(
                    line.stamp_ns, line.pose, line.odom_from_camera, line.base_from_camera, self._travelled
                )
            self._anchor = self._travelled

    def heard(self, map_from_odom: Array) -> dict[str, Array]:
        """Take the newest ``map -> odom``; return the keyframes that a jump moves, with their poses."""
        with self._lock:
            before, self._odom = self._odom, map_from_odom
            if before is None or self._mode == "ignore" or not self._placed:
                return {}
            jump = map_from_odom @ rigid_inverse(before)
            here = next(reversed(self._placed.values())).pose[:3, 3]
            if not self._is_jump(jump, here):
                return {}
            shift = float(np.linalg.norm(jump[:3, :3] @ here + jump[:3, 3] - here))
            drift = self._mode == "spread" and shift <= MOST_DRIFT * (self._travelled - self._anchor)
            names = [name for name, placed in self._placed.items() if placed.odom_from_camera is not None]
            shares = np.array([self._part(self._placed[name]) if drift else 1.0 for name in names])
            poses = _parts(jump, here, shares) @ self._poses(names)
            moved = {name: poses[i] for i, name in enumerate(names) if shares[i] > 0}
            self._anchor = self._travelled
            return self._settle(moved)

    def path(self, path: SlamPath, max_gap_s: float = 5.0) -> dict[str, Array]:
        """Take the path of the base frame, as SLAM optimised it; return who moved.

        Args:
            path: poses with stamps, in the world.
            max_gap_s: between two poses over which is still interpolated.
        """
        with self._lock:
            names = [name for name, placed in self._placed.items() if placed.base_from_camera is not None]
            stamps = np.array([self._placed[name].stamp_ns for name in names], np.int64)
            known, bases = path.at(stamps, max_gap_s * 1e9)
            mounts = _stack(self._placed[name].base_from_camera for name in names)
            before, poses = self._poses(names), bases @ mounts
            jumped = known & self._are_jumps(poses, before)
            return self._settle({names[i]: poses[i] for i in np.flatnonzero(jumped)})

    @property
    def names(self) -> tuple[str, ...]:
        """The keyframes noted."""
        with self._lock:
            return tuple(self._placed)

    def drop(self, names: Iterable[str]) -> None:
        """Forget some keyframes; the way that was gone stays."""
        with self._lock:
            for name in names:
                self._placed.pop(name, None)

    def time_jumped(self) -> None:
        """Time jumped back, so that ``map -> odom`` may have begun anew.

        What it says from now on is about keyframes from now on; only the path of SLAM moves earlier ones.
        """
        with self._lock:
            self._odom = None
            self._anchor = self._travelled
            for placed in self._placed.values():
                placed.odom_from_camera = None

    def clear(self) -> None:
        """Forget all keyframes."""
        with self._lock:
            self._placed.clear()
            self._travelled = self._anchor = 0.0

    def _part(self, placed: Placed) -> float:
        """Return the share of the way since the last jump that lay behind a keyframe, in [0, 1]."""
        way = self._travelled - self._anchor
        return min(max((placed.travelled - self._anchor) / way, 0.0), 1.0)

    def _settle(self, moved: dict[str, Array]) -> dict[str, Array]:
        for name, pose in moved.items():
            self._placed[name].pose = pose
        self.count += bool(moved)
        return moved

    def _poses(self, names: list[str]) -> Array:
        return _stack(self._placed[name].pose for name in names)

    def _is_jump(self, motion: Array, here: Array) -> bool:
        shift = float(np.linalg.norm(motion[:3, :3] @ here + motion[:3, 3] - here))
        turn = float(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1)))
        return shift > self._min_shift or turn > self._min_turn

    def _are_jumps(self, poses: Array, before: Array) -> NDArray[np.bool_]:
        """Return whether each of N cameras [N, 4, 4] is elsewhere than ``before``."""
        shift = np.linalg.norm(poses[:, :3, 3] - before[:, :3, 3], axis=1)
        cosine = (np.einsum("nij,nij->n", poses[:, :3, :3], before[:, :3, :3]) - 1) / 2
        jumps: NDArray[np.bool_] = (shift > self._min_shift) | (
            np.arccos(np.clip(cosine, -1, 1)) > self._min_turn
        )
        return jumps


def _stack(poses: Iterable[Array | None]) -> Array:
    """Return poses as [N, 4, 4], also where there are none."""
    return np.array(list(poses), np.float64).reshape(-1, 4, 4)


def _parts(jump: Array, here: Array, shares: Array) -> Array:
    """Return parts [N] of a rigid motion as [N, 4, 4]: turned about and shifted at the point ``here``."""
    shift = jump[:3, :3] @ here + jump[:3, 3] - here
    count = len(shares)
    whole = np.tile(pose_from_matrix(jump)[1], (count, 1))
    parts = matrices(np.zeros((count, 3)), slerps(np.tile(IDENTITY, (count, 1)), whole, shares))
    parts[:, :3, 3] = here + shares[:, None] * shift - parts[:, :3, :3] @ here
    return parts
