"""What is a transform between two frames, and what is none."""

import numpy as np
from numpy.typing import NDArray

from reconx_ros.sources.rigid import unit_quaternion

Array = NDArray[np.float64]

FARTHEST_M = 1e8
"""Metres along one axis beyond which a translation is taken for a fault.

The largest frames in use are smaller than the Earth: the coordinates of ECEF stay under 7e6, those of UTM
under 1e7. At 1e8 float64 still resolves a tenth of a micrometre.
"""


def checked(
    parent: str, child: str, translation: Array, quaternion_xyzw: Array
) -> tuple[Array, Array] | str:
    """Return translation [3] and unit quaternion [4] of parent_from_child, or a line why they are none."""
    if not (parent and child) or parent == child:
        return f"transform {parent or repr('')} -> {child or repr('')}: two different frames are needed"
    place, turn = (np.asarray(vector, np.float64) for vector in (translation, quaternion_xyzw))
    unit = unit_quaternion(turn)
    if unit is None or not np.isfinite(place).all():
        numbers = f"translation {_shown(place)} and rotation {_shown(turn)}"
        return f"transform {parent} -> {child}: {numbers} are no pose"
    if np.abs(place).max() > FARTHEST_M:
        return f"transform {parent} -> {child}: translation {_shown(place)} goes beyond {FARTHEST_M:g} m"
    return place, unit


def _shown(vector: Array) -> str:
    return f"[{', '.join(f'{value:g}' for value in vector)}]"
