"""A tensor that rows are added to: those that are there stay where they are."""

import torch


class Growing:
    """Rows of a tensor, with room behind them.

    Rows that are added are written behind the others, so whoever holds the rows of before still has them:
    a step that is taken back (``mapping/undo.py``) needs nothing copied. On the CPU the whole room may be
    asked for at once, for the system gives memory where it is written; on a GPU it grows by a quarter.
    """

    def __init__(self, rows: torch.Tensor, room: int = 0) -> None:
        """Begin with a copy of ``rows`` [N, ...] and room for ``room`` rows in all, on the CPU."""
        self._room = room if rows.device.type == "cpu" else 0
        self._buffer, self._count = self._larger(rows, len(rows)), len(rows)

    @property
    def rows(self) -> torch.Tensor:
        """The rows [N, ...]; they share memory with this."""
        return self._buffer[: self._count]

    def append(self, new: torch.Tensor) -> None:
        """Add rows [M, ...] behind the others."""
        end = self._count + len(new)
        if end > len(self._buffer):
            self._buffer = self._larger(self.rows, end + end // 4)
        self._buffer[self._count : end] = new
        self._count = end

    def _larger(self, rows: torch.Tensor, least: int) -> torch.Tensor:
        buffer = rows.new_empty((max(least, self._room), *rows.shape[1:]))
        buffer[: len(rows)] = rows.detach()
        return buffer
