"""What a map of Gaussians must be to be optimised."""

import math

import numpy as np

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.gaussians import GaussianMap


def check_gaussians(gaussians: GaussianMap) -> None:
    """Make sure that there are Gaussians and that their numbers are finite.

    Raises:
        SplattingError: there are none, or some have a number that is not finite.
    """
    if len(gaussians) == 0:
        raise SplattingError("the map has no Gaussians; at least one is needed")
    arrays = (
        gaussians.means, gaussians.log_scales, gaussians.quaternions_wxyz,
        gaussians.opacity_logits, gaussians.sh, gaussians.confidence,
    )  # fmt: skip
    finite = np.stack([np.isfinite(a.reshape(len(gaussians), -1)).all(axis=1) for a in arrays]).all(axis=0)
    if not finite.all():
        raise SplattingError(
            f"{int((~finite).sum())} of {len(gaussians)} Gaussians have a number that is not finite; "
            "leave them out"
        )


def used_degree(gaussians: GaussianMap) -> int:
    """Return the highest SH degree that has a coefficient other than zero, 0 if none has."""
    used = np.abs(gaussians.sh).max(axis=(0, 2), initial=0) > 0
    return math.isqrt(int(np.flatnonzero(used).max(initial=0)))
