"""The figures of one rendered view, and their mean."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from reconx_ros.evaluation.flip import flip_map
from reconx_ros.evaluation.metrics import Image, Mask, colour_corrected, masked_mean, psnr, ssim


@dataclass(frozen=True)
class Score:
    """Figures of a view, or their mean over views.

    Attributes:
        psnr: dB over all pixels.
        ssim: over all pixels.
        flip: over all pixels; less is better.
        psnr_covered: dB over the pixels the inputs cover; NaN where they cover none.
        ssim_covered: over the pixels the inputs cover.
        flip_covered: over the pixels the inputs cover.
        psnr_uncovered: dB over the pixels no input saw; NaN where they cover all.
        psnr_colour_corrected: dB over the covered pixels after an affine fit of each channel, which
            takes out the exposure of the held-out frame.
        ssim_uncovered: over the pixels no input saw.
        flip_uncovered: over the pixels no input saw.
    """

    psnr: float
    ssim: float
    flip: float
    psnr_covered: float
    ssim_covered: float
    flip_covered: float
    psnr_uncovered: float
    psnr_colour_corrected: float
    ssim_uncovered: float
    flip_uncovered: float

    def json(self) -> dict[str, float | None]:
        """Return the figures for JSON; ``None`` where one is not finite."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def score(image: Image, truth: Image, covered: Mask) -> tuple[Score, Image]:
    """Measure ``image`` [H, W, 3] against ``truth``; also return the [H, W] FLIP map."""
    difference = flip_map(image, truth)
    corrected = colour_corrected(image, truth, covered)
    figures = Score(
        psnr=psnr(image, truth),
        ssim=ssim(image, truth),
        flip=float(difference.mean()),
        psnr_covered=psnr(image, truth, covered),
        ssim_covered=ssim(image, truth, covered),
        flip_covered=masked_mean(difference, covered),
        psnr_uncovered=psnr(image, truth, ~covered),
        psnr_colour_corrected=psnr(corrected, truth, covered),
        ssim_uncovered=ssim(image, truth, ~covered),
        flip_uncovered=masked_mean(difference, ~covered),
    )
    return figures, difference


def mean_score(scores: Sequence[Score]) -> Score:
    """Mean of each figure over the views where it exists; NaN where it exists in none."""
    return Score(**{f.name: _mean([getattr(one, f.name) for one in scores]) for f in fields(Score)})


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
