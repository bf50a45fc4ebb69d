"""Whether given focal lengths can be right: what the matches of all views so far say about each.

Depth from stereo is as wrong as the focal length, and a wrong one bends the world so that views agree with
each other. Matches of views that turned or came nearer tell (``bundle.Bundle.fit_focal``); views that only
moved sideways cannot, and say so by a large deviation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.geometry.stereo.bundle import Bundle, FocalFit, PosePrior
from reconx_ros.geometry.stereo.reprojection import Star

Intrinsics = tuple[bytes, int, int]

WRONG = 0.07
"""Relative error of a focal length from which there is no geometry. Poses that drift (RedKitchen) look like
up to half of it."""

SURE = 5.0
"""Deviations of the ratio from 1 from which it is clear."""

VAGUE = 0.06
"""Deviation from which nothing is told: then the few matches that moved by themselves decide."""

DOUBT = 3.0
"""Deviations within which the given focal length counts as right."""


def intrinsics_of(camera: Camera) -> Intrinsics:
    """Return what is equal for views of the same intrinsics and size."""
    return camera.intrinsics.tobytes(), camera.width, camera.height


@dataclass(frozen=True)
class Verdict:
    """What all views say about one focal length.

    Attributes:
        ratio: of the focal length that fits to the given one.
        deviation: standard deviation of its logarithm; more where views disagree.
    """

    ratio: float
    deviation: float

    @property
    def wrong(self) -> bool:
        """Whether the given focal length is clearly wrong."""
        off = abs(np.log(self.ratio))
        return bool(self.deviation < VAGUE and off > max(WRONG, SURE * self.deviation))

    @property
    def bias(self) -> float:
        """Relative error of depth that the given focal length causes, beyond doubt."""
        off = abs(float(np.log(self.ratio))) if self.deviation < VAGUE else 0.0
        return max(0.0, off - DOUBT * self.deviation)

    def told(self, given: float) -> str:
        """Return what is wrong with a focal length of ``given`` pixels, and what to do."""
        fitting = given * self.ratio
        return (
            f"the focal length of the keyframes is {given:.4g} pixels, but their matches and poses fit one "
            f"of {fitting:.4g} +- {fitting * self.deviation:.2g}; calibrate the camera and correct its "
            "camera_info (for photos: the intrinsics beside them), or check the scale of the poses"
        )


class FocalEvidence:
    """Remembers what each view said."""

    def __init__(self) -> None:
        self._said: dict[str, dict[Intrinsics, FocalFit]] = {}

    def keep(self, names: Collection[str]) -> None:
        """Forget all views but those of ``names``."""
        self._said = {name: fits for name, fits in self._said.items() if name in names}

    def note(self, names: Sequence[str], fits: Mapping[Intrinsics, FocalFit]) -> None:
        """Remember what views said together, instead of what each of them said before."""
        for name in names:
            self._said.pop(name, None)
        if names:
            self._said[names[0]] = dict(fits)

    def verdict(self, intrinsics: Intrinsics) -> Verdict:
        """Return what is known of the focal length of ``intrinsics``."""
        fits = [fits[intrinsics] for fits in self._said.values() if intrinsics in fits]
        return combine(fits) if fits else Verdict(1.0, np.inf)


def combine(fits: Sequence[FocalFit]) -> Verdict:
    """Return the mean of ``fits`` weighted by inverse variances.

    Where poses had to move by more than their deviation the priors were too narrow, and so is the deviation
    of the focal length, by as much (``strain``). Where views disagree by more than theirs, likewise.
    """
    value = np.log([fit.ratio for fit in fits])
    weight = np.array([(fit.deviation * max(1.0, fit.strain)) ** -2 for fit in fits])
    mean = float((weight * value).sum() / weight.sum())
    disagree = float((weight * np.square(value - mean)).sum()) / max(1, len(fits) - 1)
    deviation = float(weight.sum() ** -0.5) * max(1.0, disagree**0.5)
    return Verdict(float(np.exp(mean)), deviation)


def fit_focals(
    cameras: Sequence[Camera], stars: Sequence[Star], prior: PosePrior
) -> dict[Intrinsics, FocalFit]:
    """Ask matches about the focal lengths of all their views.

    Args:
        cameras: of all views, with poses as they were given: those that were refined since fit a wrong
            focal length better than they should.
        stars: matches.
        prior: how far given poses may be off.
    """
    views = sorted({view for star in stars for view in (star.view, *star.others)})
    kinds = list(dict.fromkeys(intrinsics_of(cameras[view]) for view in views))
    groups = {view: kinds.index(intrinsics_of(cameras[view])) for view in views}
    fits = Bundle(cameras, stars, views, prior).fit_focal(groups)
    return {kinds[group]: fit for group, fit in fits.items()}
