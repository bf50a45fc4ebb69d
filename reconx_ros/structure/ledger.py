"""Which parts of the world are already hoped for: so that two clips are not sent to learn the same."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Cells = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Sorted keys of cells, and how many (weighted) pixels look at each."""


class Ledger:
    """The gain of offers over what is filmed already.

    An offer gives each cell v of the world w(v) weighted pixels. With m(v) the most that anything filmed
    so far gives it, the gain is Σ max(0, w(v) − m(v)): monotone and submodular, so taking the best offer
    again and again comes within 1 − 1/e of the best choice (Nemhauser et al. 1978).
    """

    def __init__(self, offers: Sequence[Cells]) -> None:
        """Take the cells of each offer."""
        keys = [keys for keys, _ in offers]
        self._keys = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
        self._filmed = np.zeros(len(self._keys), np.float32)
        self._offers = [(np.searchsorted(self._keys, each), weight) for each, weight in offers]

    def gains(self) -> NDArray[np.float32]:
        """Return the gain of each offer now."""
        gains = [np.maximum(weight - self._filmed[at], 0).sum() for at, weight in self._offers]
        return np.array(gains, np.float32)

    def film(self, cells: Cells) -> None:
        """Note that a frame is filmed that gives ``cells`` their pixels; others' cells do not matter."""
        keys, weight = cells
        at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        ours = self._keys[at] == keys if len(self._keys) else np.zeros(len(keys), np.bool_)
        self._filmed[at[ours]] = np.maximum(self._filmed[at[ours]], weight[ours])


def joined(parts: Sequence[Cells]) -> Cells:
    """Return the cells of several frames: of each the most that any gives it."""
    keys = np.concatenate([keys for keys, _ in parts])
    weights = np.concatenate([weights for _, weights in parts])
    distinct, place = np.unique(keys, return_inverse=True)
    most = np.zeros(len(distinct), np.float32)
    np.maximum.at(most, place.ravel(), weights)
    return distinct, most
