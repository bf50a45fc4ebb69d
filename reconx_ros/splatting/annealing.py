"""What changes over the steps of an optimisation: rates, dropout and the harmonics let in."""

import math

from reconx_ros.splatting.adam import Rates
from reconx_ros.splatting.config import SplattingConfig

FEW_VIEWS = 2
"""Real views that do not tell how colours change between and beyond them."""


class Annealing:
    """The schedule of ``config``, which is set back in proportion to what is new when a map grows.

    Attributes:
        clock: steps done, less what growing has set back.
    """

    def __init__(self, config: SplattingConfig, first_degree: int) -> None:
        """Start at the first step, with the harmonics up to ``first_degree``."""
        self._config, self._first_degree = config, first_degree
        self.clock = 0.0

    def grown(self, before: int, added: int) -> None:
        """Set the clock back for a map of ``before`` Gaussians that ``added`` come to."""
        self.clock *= before / (before + added)

    @property
    def share(self) -> float:
        """How much of the schedule is over, in [0, 1]."""
        return min(self.clock / max(self._config.steps, 1), 1.0)

    @property
    def decay(self) -> float:
        """The share of the rates now: falls exponentially to ``rates.final``."""
        return math.exp(math.log(self._config.rates.final) * self.share)

    @property
    def dropout(self) -> float:
        """The chance now that a Gaussian is left out of a step."""
        return self._config.dropout * self.share

    def rates(self, extent: float) -> Rates:
        """Return the rates now, in a scene of this extent."""
        rates, decay = self._config.rates, self.decay
        return Rates(
            means=rates.means * extent * decay,
            scales=rates.scales * decay,
            rotations=rates.rotations * decay,
            opacities=rates.opacities * decay,
            colours=rates.colours * decay,
            harmonics=rates.harmonics * decay,
        )

    def degree(self, stored: int, real_views: int) -> int:
        """Return the highest SH degree let in now, of those ``stored``."""
        degree = min(self._first_degree + int(self.clock) // self._config.sh_interval, stored)
        if real_views <= FEW_VIEWS:
            degree = min(degree, max(self._first_degree, self._config.sh_degree_few))
        return degree
