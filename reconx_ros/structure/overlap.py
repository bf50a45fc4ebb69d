"""How much of the cloud two cameras both see."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.structure.hopes import looked_up
from reconx_ros.structure.survey import Sketch, Survey

TOLERANCE = 1.05
"""A point this many times as far as what a view shows there is hidden."""


def visible(survey: Survey, sketch: Sketch) -> NDArray[np.bool_]:
    """Return which points ([P] bool) of ``survey`` the view shows: not hidden, from before."""
    depth, shown = looked_up(survey.points, sketch, sketch.depth)
    toward = sketch.camera.centre.astype(np.float32) - survey.points
    before = (toward * survey.normals).sum(axis=1) >= 0
    return np.asarray(before & (depth < TOLERANCE * shown), dtype=np.bool_)


def shared(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the share of the smaller of two sets of points that lies in both; 0 of nothing."""
    smaller = min(np.count_nonzero(first), np.count_nonzero(second))
    return float(np.count_nonzero(first & second)) / smaller if smaller else 0.0
