"""Which view is trained on next: shuffled epochs, and more of what is new."""

from collections.abc import Sequence

import numpy as np


class ViewSchedule:
    """Deterministic order of views for a seed.

    Views are drawn in shuffled epochs. After observed views are added to others, the share ``new_share``
    of the draws comes from them; it fades to their natural share over ``FADE`` epochs. What nobody
    observed is never new. At most the share ``generated_share`` of an epoch are generated views, in turn;
    the others are all in it.
    """

    FADE = 10

    def __init__(self, seed: int, new_share: float, generated_share: float = 1.0) -> None:
        self._random = np.random.default_rng(seed)
        self._share, self._generated_share = new_share, generated_share
        self._generated: list[int] = []
        self._turn: list[int] = []
        self._owed = 0.0  # generated views an epoch may still have; few real ones allow less than one
        self._count = 0
        self._queue: list[int] = []
        self._new: list[int] = []
        self._left = self._span = 0  # draws until new views are no longer new, of how many

    def add(
        self, count: int, generated: Sequence[int] = (), unobserved: Sequence[int] | None = None
    ) -> None:
        """Add ``count`` views behind those known.

        Args:
            count: how many.
            generated: places among them of those that a prior made.
            unobserved: places of all that are not observed, ``generated`` where ``None``.
        """
        self._generated += [self._count + place for place in generated]
        made = set(generated if unobserved is None else unobserved)
        observed = [self._count + place for place in range(count) if place not in made]
        if self._count and observed:
            self._new = observed
            self._left = self._span = self.FADE * (self._count + count)
        self._count += count
        self._queue = []

    def keep(self, views: list[int]) -> None:
        """Drop all views but these; they are counted anew in this order."""
        place = {view: index for index, view in enumerate(views)}
        self._new = [place[view] for view in self._new if view in place]
        self._generated = [place[view] for view in self._generated if view in place]
        self._turn = []
        self._left = self._left if self._new else 0
        self._count, self._queue = len(views), []

    def draw(self) -> int:
        """Return the index of the next view; at least one must have been added."""
        if self._left > 0:
            self._left -= 1
            fading = self._share * self._left / self._span
            if self._random.random() < fading:
                return int(self._random.choice(self._new))
        if not self._queue:
            self._queue = self._random.permutation(self._epoch()).tolist()
        return self._queue.pop()

    def _epoch(self) -> list[int]:
        """Return the views of the next epoch: all real ones, and the generated ones whose turn it is."""
        real = self._count - len(self._generated)
        if not self._generated or not real or self._generated_share >= 1:
            return list(range(self._count))
        self._owed += real * self._generated_share / (1 - self._generated_share)
        most = min(int(self._owed + 1e-9), len(self._generated))
        self._owed = min(self._owed - most, 1.0)
        if len(self._turn) < most:
            self._turn = [*self._turn, *self._random.permutation(self._generated).tolist()]
        chosen, self._turn = self._turn[:most], self._turn[most:]
        made = set(self._generated)
        return [view for view in range(self._count) if view not in made] + chosen
