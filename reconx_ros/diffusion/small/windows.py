"""Long clips as overlapping windows, blended where they overlap."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Frames ``start`` to ``stop`` of a clip."""

    start: int
    stop: int

    @property
    def frames(self) -> slice:
        """The frames as a slice."""
        return slice(self.start, self.stop)


def windows(frames: int, length: int, overlap: int) -> Iterator[Window]:
    """Cover ``frames`` frames with windows of at most ``length``, neighbours sharing ``overlap`` or more.

    All windows are of one length, so that every frame has equally many neighbours; 0 ≤ overlap < length.
    """
    if frames <= length:
        yield Window(0, frames)
        return
    count = -(-(frames - overlap) // (length - overlap))
    for number in range(count):
        start = round(number * (frames - length) / (count - 1))
        yield Window(start, start + length)


def blended(parts: Sequence[tuple[Window, Tensor]], frames: int) -> Tensor:
    """Join windows [B, f, ...] to a clip [B, F, ...], each fading in and out over its frames."""
    first = parts[0][1]
    total = first.new_zeros(first.shape[0], frames, *first.shape[2:])
    weight = first.new_zeros(frames)
    for window, part in parts:
        count = window.stop - window.start
        ramp = torch.arange(1, count + 1, device=part.device, dtype=part.dtype)
        fade = torch.minimum(ramp, ramp.flip(0))
        total[:, window.frames] += part * fade.view(-1, *[1] * (part.dim() - 2))
        weight[window.frames] += fade
    return total / weight.view(-1, *[1] * (first.dim() - 2))
