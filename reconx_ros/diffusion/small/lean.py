"""An observation with no more of everything than the network makes use of: filming takes 0.6 of the time.

Measured on real frames of 256×192 (`benchmarks/synthesis.py`): a margin of 8 pixels instead of 32 costs
0.02 dB in holes, reference tokens from images of 128 pixels nothing.
"""

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import interpolate

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.observation import Observation

MARGIN = 8
"""Rows and columns the network sees beyond its frame; the fills were made with all there are."""

TOKEN_WIDTH = 128
"""Pixels across from which reference tokens are made, as in training."""


def lean(seen: Observation) -> Observation:
    """Return the observation with margins of at most ``MARGIN`` and references as wide as in training."""
    margin = (min(seen.margin[0], MARGIN), min(seen.margin[1], MARGIN))
    rows, columns = (old - new for old, new in zip(seen.margin, margin, strict=True))

    def cut(image: Tensor) -> Tensor:
        return cropped(image, (rows, columns))

    return replace(
        seen,
        base=cut(seen.base),
        matched=cut(seen.matched),
        taken=cut(seen.taken),
        planes=cut(seen.planes),
        uncertainty=cut(seen.uncertainty),
        distance=cut(seen.distance),
        points=cut(seen.points),
        reference_planes=_narrow(seen.reference_planes),
        reference_points=_narrow(seen.reference_points),
        margin=margin,
    )


def _narrow(image: Tensor) -> Tensor:
    """Average [B, R, C, h, w] down to ``TOKEN_WIDTH`` columns, whole pixels of its own at a time."""
    factor = image.shape[-1] // TOKEN_WIDTH
    if factor < 2:
        return image
    sides = [side // factor for side in image.shape[-2:]]
    return interpolate(image.flatten(0, 1), size=sides, mode="area").view(*image.shape[:3], *sides)
