"""What the services and the action ask a session for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Box:
    """A box to clear: corners [3] in ``frame``, whose axes are its own; ``''`` is the map frame."""

    frame: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What ``~/reconstruct`` is asked for; see the action's definition."""

    source: str
    preset: str
    steps: int
    output: str
