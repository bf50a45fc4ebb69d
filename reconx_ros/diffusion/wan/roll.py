"""The frames of a clip as windows are filmed: what each draw gives, blended where windows overlap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.diffusion.wan.clips import Window
from reconx_ros.diffusion.wan.conditions import Conditions
from reconx_ros.diffusion.wan.doubt import LEAST, expected_error
from reconx_ros.diffusion.wan.restore import matched, restored
from reconx_ros.structure.depth_guess import guessed_depth


@dataclass(frozen=True, eq=False)
class Take:
    """A window as it comes out, padding included.

    Attributes:
        image: [F, 3, H, W] in [0, 1].
        error: [F, 1, H, W] standard deviation of colour that is expected.
        depth: [F, 1, H, W], guessed where nothing is shown, NaN in frames where nothing is.
        seen: [F, 1, H, W], 1 where a view or the cloud shows the pixel's surface.
        real: the reference that a frame is, by the number of the frame.
    """

    image: Tensor
    error: Tensor
    depth: Tensor
    seen: Tensor
    real: Mapping[int, int]


def take(given: Conditions, draws: Sequence[Tensor], feather: int) -> Take:
    """Make the frames of a window of its draws [F, 3, H, W]: the first is shown, their spread is doubt."""
    colored = [matched(draw, given.image, given.known) for draw in draws]
    spread = torch.stack(colored).var(0).mean(1, keepdim=True) if len(draws) > 1 else None
    error = expected_error(colored[0], given.image, given.known, spread)
    error[list(given.real)] = LEAST
    return Take(
        restored(colored[0], given.image, given.known, feather),
        error,
        guessed_depth(given.depth, (given.depth > 0).to(given.depth.dtype)),
        given.seen,
        given.real,
    )


class Roll:
    """The clip so far.

    A frame filmed twice fades from the earlier window to the later; half the squared difference is the
    variance between two draws, and twice that is added to σ² where no view shows the pixel.
    """

    def __init__(self) -> None:
        self.image: list[Tensor] = []
        self.error: list[Tensor] = []
        self.depth: list[Tensor] = []
        self.seen: list[Tensor] = []
        self.real: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of frames so far."""
        return len(self.image)

    def add(self, window: Window, new: Take) -> None:
        """Add a window that begins within or just after what there is."""
        for number in range(1, window.shared):
            self._blend(window.start + number, number, number / window.shared, new)
        fresh = slice(window.shared, window.stop - window.start)
        for mine, theirs in (
            (self.image, new.image),
            (self.error, new.error),
            (self.depth, new.depth),
            (self.seen, new.seen),
        ):
            mine.extend(theirs[fresh])
        self.real |= {window.start + frame: view for frame, view in new.real.items() if frame < fresh.stop}

    def _blend(self, at: int, number: int, share: float, new: Take) -> None:
        square = (self.image[at] - new.image[number]).square().mean(0, keepdim=True)
        self.image[at] = (1 - share) * self.image[at] + share * new.image[number]
        kept = (1 - share) * self.error[at] + share * new.error[number]
        self.error[at] = (kept.square() + square * (1 - self.seen[at])).sqrt()
