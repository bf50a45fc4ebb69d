"""Which frames are held out for measuring, and which of the rest are inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconx_ros.errors import ConfigError


@dataclass(frozen=True)
class HoldOut:
    """A rule that names held-out frames by their number in the source, from 0.

    Attributes:
        every: hold out every so many frames (0: ``frames`` are listed).
        first: the first of them; 0 as in the LLFF protocol: frames 0, 8, 16, ...
        frames: the listed frames.
    """

    every: int = 0
    first: int = 0
    frames: tuple[int, ...] = ()

    def indices(self, count: int) -> list[int]:
        """Return the held-out frames of a source of ``count`` frames, in order.

        Raises:
            ConfigError: a listed frame does not exist, or none is left on one side.
        """
        chosen = list(range(self.first, count, self.every)) if self.every else sorted(set(self.frames))
        beyond = [index for index in chosen if index >= count]
        if beyond:
            raise ConfigError(
                f"--hold-out names frame {beyond[0]}, but the source has frames 0 to {count - 1}"
            )
        if not 0 < len(chosen) < count:
            raise ConfigError(
                f"--hold-out takes {len(chosen)} of {count} frames; some must be on each side"
            )
        return chosen


def parse_hold_out(text: str) -> HoldOut:
    """Read ``every:8`` (frames 0, 8, 16, ...), ``every:8+4`` (4, 12, 20, ...) or ``3,10``.

    Raises:
        ConfigError: anything else.
    """
    spec = text.replace(" ", "")
    if match := re.fullmatch(r"every:([0-9]{1,9})(?:\+([0-9]{1,9}))?", spec, re.ASCII):
        every, first = int(match[1]), int(match[2] or 0)
        if every >= 2 and first < every:
            return HoldOut(every=every, first=first)
    if re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", spec, re.ASCII):
        return HoldOut(frames=tuple(int(part) for part in spec.split(",")))
    raise ConfigError(
        f"--hold-out '{text}' is not understood; use every:8, every:8+4 or frame numbers 3,10"
    )


def parse_inputs(text: str) -> int | None:
    """Read ``--inputs``: a number of views >= 1, or ``all`` (``None``).

    Raises:
        ConfigError: anything else.
    """
    if text.strip() == "all":
        return None
    if re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII) and int(text) >= 1:
        return int(text)
    raise ConfigError(f"--inputs '{text}' is not understood; use a number of views or all")


def choose_inputs(candidates: Sequence[int], number: int | None) -> list[int]:
    """Return ``number`` of ``candidates``, evenly spaced from the first to the last (LLFF protocol).

    Raises:
        ConfigError: there are fewer candidates.
    """
    if number is None:
        return list(candidates)
    if number > len(candidates):
        raise ConfigError(f"--inputs {number} is more than the {len(candidates)} frames not held out")
    rows = np.rint(np.linspace(0, len(candidates) - 1, number)).astype(int)
    return [candidates[row] for row in rows]
