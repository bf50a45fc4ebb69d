"""The curves of a training run: a CSV file, and TensorBoard where that is installed."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOG, EVENTS = "log.csv", "tensorboard"
LOG_EVERY = 20
OF_SMALL = ("loss", "holes_db", "covered_db")
"""What the small model logs of a step."""


class Log:
    """A row of means for every ``LOG_EVERY`` steps, appended to a CSV file and to TensorBoard's events."""

    def __init__(self, folder: Path, batch: int, columns: Sequence[str] = OF_SMALL) -> None:
        """Go on with the log in ``folder``, or begin one.

        Args:
            folder: of the run.
            batch: clips a step.
            columns: what is logged of a step, beside its learning rate and speed.
        """
        self._file, self._batch, self._since = folder / LOG, batch, time.monotonic()
        self._columns = (*columns, "learning_rate", "frames_per_s")
        self._rows: list[list[float]] = []
        self._events = _writer(folder / EVENTS)
        if not self._file.exists():
            self._file.write_text(",".join(("step", *self._columns)) + "\n")

    def add(self, step: int, values: Sequence[float], learning_rate: float) -> None:
        """Add a step: a value for each column."""
        self._rows.append(list(values))
        if step % LOG_EVERY == 0:
            self._write(step, learning_rate)

    def close(self, step: int, learning_rate: float) -> None:
        """Write what was added since the last row."""
        self._write(step, learning_rate)
        if self._events is not None:
            self._events.close()

    def _write(self, step: int, learning_rate: float) -> None:
        if not self._rows:
            return
        speed = len(self._rows) * self._batch / (time.monotonic() - self._since)
        means = [sum(column) / len(column) for column in zip(*self._rows, strict=True)]
        with self._file.open("a", newline="") as log:
            shown = [f"{value:.5f}" for value in means]
            csv.writer(log).writerow([step, *shown, f"{learning_rate:.3g}", f"{speed:.2f}"])
        if self._events is not None:
            for name, value in zip(self._columns, [*means, learning_rate, speed], strict=True):
                self._events.add_scalar(name, value, step)
        self._rows, self._since = [], time.monotonic()


def _writer(folder: Path) -> Any:  # noqa: ANN401  (an optional package)
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an extra)
    except ImportError:
        return None
    return SummaryWriter(str(folder))
