"""A first guess: the strongest pairs that connect all views, put together one by one.

After DUSt3R, section 3.4, and its maximum spanning tree: pairs are taken strongest first; the points that
a new pair has in common with those already placed give its similarity transform.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.geometry.align.observations import Observations
from reconx_ros.geometry.align.resection import resect
from reconx_ros.geometry.align.similarity import Similarity, fit_robustly, weighted_median

Array = NDArray[np.float64]

LEAST_POINTS = 12
"""Common points below which a pair is not attached."""

PNP_PIXELS = 5.0
PNP_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class Spanned:
    """All views in the frame of the first view of the strongest pair, whose scale is 1.

    Attributes:
        poses: [N, 4, 4] float64 world_from_camera.
        scales: [E] float64 of the pairs; 1 for a metric one.
        placed: [N] bool, whether a view could be placed.
    """

    poses: Array
    scales: Array
    placed: NDArray[np.bool_]


def span(seen: Observations, scores: Sequence[float], focal: Array) -> Spanned:
    """Put the views together.

    Args:
        seen: the sampled pairs.
        scores: [E] strength of each pair; larger is stronger.
        focal: [N] pixels, to tell outliers by their distance in the image.
    """
    tree = _Tree(seen, scores, focal)
    tree.grow()
    return Spanned(tree.poses, tree.scales(), tree.placed)


class _Tree:
    def __init__(self, seen: Observations, scores: Sequence[float], focal: Array) -> None:
        views = seen.views
        self.rays, self.points, self.weight = (
            tensor.numpy() for tensor in (seen.rays, seen.points, seen.weight)
        )
        self.ends = np.stack([seen.base[1::2].numpy(), seen.view[1::2].numpy()], axis=1)
        self.metric = seen.metric.numpy()
        self.focal = focal
        self.order = list(np.argsort(-np.asarray(scores), kind="stable"))
        self.pair_of = {(int(a), int(b)): e for e, (a, b) in enumerate(self.ends)}
        self.poses = np.tile(np.eye(4), (views, 1, 1))
        self.placed = np.zeros(views, bool)
        self.world = np.zeros((views, *self.rays.shape[1:]))
        self.sure = np.zeros((views, self.rays.shape[1]))  # weight of world points

    def grow(self) -> None:
        first = self.order[0]
        self._attach(first, Similarity.identity())
        while attached := next(self._attachable(), None):
            self._attach(*attached)

    def _attachable(self) -> Iterator[tuple[int, Similarity]]:
        """Yield pairs with one view placed and how they fit, strongest first."""
        for pair in list(self.order):
            placed = self.placed[self.ends[pair]]
            if placed.sum() != 1:
                continue
            side = int(placed[1])
            view, block = self.ends[pair, side], 2 * pair + side
            weight = self.weight[block] * self.sure[view]
            if np.count_nonzero(weight) >= LEAST_POINTS:
                yield pair, self._fit(block, self.world[view], weight)
            else:
                self.order.remove(pair)  # it can be of no use later either

    def _fit(self, block: int, target: Array, weight: Array) -> Similarity:
        used = weight > 0
        scaled = not self.metric[block // 2]
        return fit_robustly(self.points[block][used], target[used], weight[used], scaled)

    def _attach(self, pair: int, fit: Similarity) -> None:
        """Place what is new in ``pair``, whose frame ``fit`` maps to the world."""
        self.order.remove(pair)
        first, second = self.ends[pair]
        if not self.placed[first]:
            self._place(first, fit.pose, fit, 2 * pair)
        if not self.placed[second]:
            pose = self._second_pose(pair, fit)
            if pose is not None:
                self._place(second, pose, fit, 2 * pair + 1)

    def _place(self, view: int, pose: Array, fit: Similarity, block: int) -> None:
        self.poses[view], self.placed[view] = pose, True
        self.world[view], self.sure[view] = fit.apply(self.points[block]), self.weight[block]

    def _second_pose(self, pair: int, fit: Similarity) -> Array | None:
        """Return the pose of a pair's second view: by the reverse pair, or by its rays (PnP)."""
        first, second = self.ends[pair]
        block, world = 2 * pair + 1, fit.apply(self.points[2 * pair + 1])
        reverse = self.pair_of.get((int(second), int(first)))
        if reverse is not None:
            weight = self.weight[block] * self.weight[2 * reverse]
            if np.count_nonzero(weight) >= LEAST_POINTS:
                return self._fit(2 * reverse, world, weight).pose
        known = self.weight[block] > 0
        slopes, threshold = self.rays[second][known, :2], float(PNP_PIXELS / self.focal[second])
        return resect(world[known], slopes, np.eye(3), threshold, PNP_ROUNDS, LEAST_POINTS)

    def scales(self) -> Array:
        """Return the scales [E] by which pairs fit the world that was put together."""
        scales = np.ones(len(self.ends))
        for pair, (first, _) in enumerate(self.ends):
            weight = self.weight[2 * pair] * self.sure[first]
            if self.metric[pair] or not self.placed[first] or not (weight > 0).any():
                continue
            pose, used = self.poses[first], weight > 0
            local = (self.world[first][used] - pose[:3, 3]) @ pose[:3, :3]
            ratio = np.linalg.norm(local, axis=1) / np.linalg.norm(self.points[2 * pair][used], axis=1)
            scales[pair] = weighted_median(ratio, weight[used])
        return scales
