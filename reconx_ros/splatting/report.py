"""What a run of the optimiser did."""

from dataclasses import dataclass
from typing import Literal

Stop = Literal["finished", "deadline", "cancelled", "no views"]


@dataclass(frozen=True)
class OptimisationReport:
    """What a run did.

    Attributes:
        steps: done in this run.
        total_steps: done on this map so far.
        seconds: wall clock of this run.
        loss: running mean of the loss at the end; ``None`` before the first step.
        gaussians: on the map.
        views: trained on.
        ignored_views: left out because no pixel of theirs has any weight.
        skipped_steps: whose loss was not finite.
        repaired_gradients: parameters of Gaussians, summed over steps, whose gradient was not finite
            and was dropped.
        dropped_gaussians: that the hard cap kept out so far.
        stopped: why the run ended.
    """

    steps: int
    total_steps: int
    seconds: float
    loss: float | None
    gaussians: int
    views: int
    ignored_views: int
    skipped_steps: int
    repaired_gradients: int
    dropped_gaussians: int
    stopped: Stop
