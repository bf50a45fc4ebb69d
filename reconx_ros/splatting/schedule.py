"""Which view is trained on next: shuffled epochs, and more of what is new."""

import numpy as np


class ViewSchedule:
    """Deterministic order of views for a seed.

    Views are drawn in shuffled epochs. After views are added to others, the share ``new_share`` of
    the draws comes from the added ones; it fades to their natural share over ``FADE`` epochs.
    """

    FADE = 10

    def __init__(self, seed: int, new_share: float) -> None:
        self._random = np.random.default_rng(seed)
        self._share = new_share
        self._count = 0
        self._queue: list[int] = []
        self._new: list[int] = []
        self._left = 0

    def add(self, count: int) -> None:
        """Add ``count`` views behind those known."""
        if self._count:
            self._new = list(range(self._count, self._count + count))
            self._left = self.FADE * (self._count + count)
        self._count += count
        self._queue = []

    def keep(self, views: list[int]) -> None:
        """Drop all views but these; they are counted anew in this order."""
        place = {view: index for index, view in enumerate(views)}
        self._new = [place[view] for view in self._new if view in place]
        self._left = self._left if self._new else 0
        self._count, self._queue = len(views), []

    def draw(self) -> int:
        """Return the index of the next view; at least one must have been added."""
        if self._left > 0:
            self._left -= 1
            fading = self._share * self._left / (self.FADE * self._count)
            if self._random.random() < fading:
                return int(self._random.choice(self._new))
        if not self._queue:
            self._queue = self._random.permutation(self._count).tolist()
        return self._queue.pop()
