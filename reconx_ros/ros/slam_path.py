"""The path that SLAM has optimised: where the base frame was at any stamp, for many at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.transform_messages import stamp_ns

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlamPath:
    """A ``nav_msgs/Path`` as arrays, in order of stamp.

    Attributes:
        stamps: [M] nanoseconds, ascending.
        places: [M, 3] metres, in the world.
        turns: [M, 4] unit quaternions (xyzw).
        refused: line about the poses that are none; empty where all are good.
    """

    stamps: NDArray[np.int64]
    places: Array
    turns: Array
    refused: str = ""

    @classmethod
    def of(cls, message: Any) -> "SlamPath":  # noqa: ANN401
        """Return the path of a message, without poses that are none."""
        stamps, numbers = [], []
        for item in message.poses:
            place, turn = item.pose.position, item.pose.orientation
            stamps.append(stamp_ns(item.header.stamp))
            numbers.append((place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w))
        when, poses = np.array(stamps, np.int64), np.array(numbers, np.float64).reshape(-1, 7)
        lengths = np.linalg.norm(poses[:, 3:], axis=1)
        good = np.flatnonzero(np.isfinite(poses).all(axis=1) & (lengths > 1e-6))
        order = good[np.argsort(when[good], kind="stable")]
        refused = ""
        if len(good) < len(poses):
            first = next(index for index in range(len(poses)) if index not in good)
            shown = ", ".join(f"{value:g}" for value in poses[first])
            refused = f"{len(poses) - len(good)} of {len(poses)} poses are none; number {first}: [{shown}]"
        return cls(when[order], poses[order, :3], poses[order, 3:] / lengths[order, None], refused)

    def at(self, stamps: NDArray[np.int64], max_gap_ns: float) -> tuple[NDArray[np.bool_], Array]:
        """Return whether the path says where the base was, and its poses.

        Args:
            stamps: [N] nanoseconds.
            max_gap_ns: between two poses over which is still interpolated.

        Returns:
            [N] and world_from_base [N, 4, 4]; these mean nothing where the path says nothing.
        """
        count = len(self.stamps)
        if count == 0:
            return np.zeros(len(stamps), bool), np.tile(np.eye(4), (len(stamps), 1, 1))
        later = np.searchsorted(self.stamps, stamps)
        after = np.clip(later, 0, count - 1)
        before = np.where(self.stamps[after] == stamps, after, np.maximum(after - 1, 0))
        gap = self.stamps[after] - self.stamps[before]
        exact = self.stamps[after] == stamps
        known = exact | ((later > 0) & (later < count) & (gap <= max_gap_ns))
        share = np.where(gap > 0, (stamps - self.stamps[before]) / np.maximum(gap, 1), 0.0)
        places = (1 - share)[:, None] * self.places[before] + share[:, None] * self.places[after]
        return known, matrices(places, slerps(self.turns[before], self.turns[after], share))


def slerps(first: Array, second: Array, share: Array) -> Array:
    """Interpolate unit quaternions [N, 4] on the shorter great arcs by shares [N] (Shoemake 1985)."""
    cosine = np.einsum("ni,ni->n", first, second)
    second = np.where(cosine < 0, -1.0, 1.0)[:, None] * second
    angle = np.arccos(np.minimum(np.abs(cosine), 1.0))
    straight = angle < 1e-6  # the arc is straight here to double precision
    sine = np.where(straight, 1.0, np.sin(angle))
    weights = [
        np.where(straight, linear, np.sin(linear * angle) / sine)[:, None] for linear in (1 - share, share)
    ]
    mixed = weights[0] * first + weights[1] * second
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def matrices(places: Array, turns: Array) -> Array:
    """Return the matrices [N, 4, 4] of translations [N, 3] and unit quaternions [N, 4] (xyzw)."""
    x, y, z, w = turns.T
    made = np.tile(np.eye(4), (len(places), 1, 1))
    made[:, :3, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)], axis=1)
    made[:, :3, 1] = np.stack([2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)], axis=1)
    made[:, :3, 2] = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    made[:, :3, 3] = places
    return made
