"""Corrected trajectories: when ``map -> odom`` jumps or SLAM publishes its path, keyframes are re-read.

Odometry is smooth and drifts; ``map -> odom`` holds what localisation found the drift to be (REP-105).
A jump says that the way since the last one was off. Where SLAM publishes its optimised path, that says
where each keyframe is, and jumps are not needed.
"""

import threading
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.sources.rigid import matrix_from_pose, pose_from_matrix, rigid_inverse, slerp
from reconx_ros.sources.transform_messages import stamp_ns

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
            shares = {name: self._part(placed) if drift else 1.0 for name, placed in self._placed.items()}
            moved = {
                name: _share(jump, here, share) @ self._placed[name].pose
                for name, share in shares.items()
                if self._placed[name].odom_from_camera is not None and share > 0
            }
            self._anchor = self._travelled
            return self._settle(moved)

    def path(self, message: Any, max_gap_s: float = 5.0) -> dict[str, Array]:  # noqa: ANN401
        """Take a ``nav_msgs/Path`` of the base frame, as SLAM optimised it; return who moved.

        Args:
            message: poses with stamps, in the world.
            max_gap_s: between two poses over which is still interpolated.
        """
        stamps, poses = _path(message)
        moved = {}
        with self._lock:
            for name, placed in self._placed.items():
                base = _at(stamps, poses, placed.stamp_ns, max_gap_s * 1e9)
                if base is not None and placed.base_from_camera is not None:
                    pose = base @ placed.base_from_camera
                    if self._is_jump(pose @ rigid_inverse(placed.pose), placed.pose[:3, 3]):
                        moved[name] = pose
            return self._settle(moved)

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

    def _is_jump(self, motion: Array, here: Array) -> bool:
        shift = float(np.linalg.norm(motion[:3, :3] @ here + motion[:3, 3] - here))
        turn = float(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1)))
        return shift > self._min_shift or turn > self._min_turn


def _share(jump: Array, here: Array, share: float) -> Array:
    """Return the part ``share`` of a rigid motion: turned about and shifted at the point ``here``."""
    shift = jump[:3, :3] @ here + jump[:3, 3] - here
    quaternion = slerp(IDENTITY, pose_from_matrix(jump)[1], share)
    part = matrix_from_pose(np.zeros(3), quaternion)
    part[:3, 3] = here + share * shift - part[:3, :3] @ here
    return part


def _path(message: Any) -> tuple[list[int], list[tuple[Array, Array]]]:  # noqa: ANN401
    """Return stamps, ascending, and (translation, quaternion xyzw) of a path."""
    found = []
    for item in message.poses:
        place, turn = item.pose.position, item.pose.orientation
        found.append(
            (
                stamp_ns(item.header.stamp),
                (np.array([place.x, place.y, place.z]), np.array([turn.x, turn.y, turn.z, turn.w])),
            )
        )
    found.sort(key=lambda pair: pair[0])
    return [stamp for stamp, _ in found], [pose for _, pose in found]


def _at(stamps: list[int], poses: list[tuple[Array, Array]], stamp: int, max_gap_ns: float) -> Array | None:
    """Return the pose at ``stamp``, between two of the path that are near in time, else ``None``."""
    after = bisect_left(stamps, stamp)
    if after < len(stamps) and stamps[after] == stamp:
        return matrix_from_pose(*poses[after])
    if after in (0, len(stamps)) or stamps[after] - stamps[after - 1] > max_gap_ns:
        return None
    share = (stamp - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
    (t0, q0), (t1, q1) = poses[after - 1], poses[after]
    return matrix_from_pose((1 - share) * t0 + share * t1, slerp(q0, q1, share))
