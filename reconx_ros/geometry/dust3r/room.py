"""The DUSt3R room: colour images, with or without poses, to aligned pointmaps."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.align import Alignment, align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.connect import connecting
from reconx_ros.geometry.align.focal import with_focal_lengths
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.pointmaps import make_pointmaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.refined import refined
from reconx_ros.geometry.align.upright import upright
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.load import PairPredictor, load_predictor
from reconx_ros.geometry.dust3r.model import PairOutput
from reconx_ros.geometry.dust3r.preprocess import Window, window_of
from reconx_ros.geometry.poses.checks import listed
from reconx_ros.geometry.protocol import GeometryEstimate
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH
from reconx_ros.keyframes.scale import scene_depth
from reconx_ros.progress import Progress

_log = logging.getLogger(__name__)

LEAST_KNOWN = 0.02
"""Share of the pixels with a point below which there is no geometry."""

FARTHEST = 6e4
"""Largest number that a pair's points and confidences hold (float16)."""


class Dust3rGeometry:
    """Pairs of colour images through the network, then global alignment with what is known of the poses.

    Measured depth is not looked at. Poses are refined (``alignment.poses``), those of views that are not
    asked for (``only``) stay as they are. Focal lengths that are guessed or from EXIF data come from the
    pointmaps. Without any pose the world is upright, without unit.

    A pair whose views do not show the same (``connecting``) is not used. A posed view that no pair connects
    gets a pointmap that is unknown everywhere; one without pose is left out, which a warning says.
    """

    name = "dust3r"

    def __init__(self, config: Dust3rConfig, alignment: AlignmentConfig, metric: bool = True) -> None:
        """Create the room; the network is loaded when it is first needed.

        Args:
            config: the network and how it runs.
            alignment: how pairs become one world.
            metric: whether known poses are in metres.
        """
        self._config, self._alignment, self._metric = config, alignment, metric

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe (``Geometry.estimate``).

        When cancelled before the alignment, no view is done.

        Raises:
            GeometryError: no weights, or not DUSt3R's; without ``only``: fewer than two views, or too few
                that show the same; sizes or poses are wrong, or contradict the images; the poses cannot
                tell the scale.
            MissingDependencyError: see ``load_predictor``.
        """
        views = [replace(keyframe, depth=None) for keyframe in keyframes]
        for view in views:
            check_keyframe(view)
        if only is None and len(views) < 2:
            raise GeometryError(f"DUSt3R needs at least two views that belong together, not {len(views)}")
        wanted = list(range(len(views)) if only is None else only)
        predictor = load_predictor(self._config)
        predicted = self._predict(predictor, views, None if only is None else set(wanted), progress)
        if progress.cancelled():
            return GeometryEstimate((), (), self._metric)
        views, pairs = with_focal_lengths(views, predicted), connecting(predicted)
        alignment = self._align(pairs, views, wanted)
        if only is None:
            wanted = placed(views, alignment.aligned, self._config.min_share)
        found = self._estimate(pairs, views, wanted, alignment)
        if only is None:
            check_agreement(found, alignment)
        return found

    def _predict(
        self,
        predictor: PairPredictor,
        views: Sequence[Keyframe],
        wanted: Collection[int] | None,
        progress: Progress,
    ) -> list[PairPointMaps]:
        chosen = choose_pairs(views, self._config.neighbours, self._metric, wanted)
        used = sorted({view for pair in chosen for view in pair})
        windows = {view: window_of(views[view], predictor.architecture) for view in used}
        images = [windows[view].image(views[view].image) for view in used]
        row = {view: place for place, view in enumerate(used)}
        done: list[PairPointMaps] = []
        for (i, j), output in predictor.predict(images, [(row[i], row[j]) for i, j in chosen]):
            done.append(brought_back((used[i], used[j]), output, (windows[used[i]], windows[used[j]])))
            progress.update("pairs", len(done), len(chosen), predictor.place)
            if progress.cancelled():
                break
        return done

    def _align(
        self, pairs: Sequence[PairPointMaps], views: Sequence[Keyframe], wanted: Sequence[int]
    ) -> Alignment:
        scale = 1.0 if self._metric else scene_depth(views) / NOMINAL_DEPTH
        held = [view for view in range(len(views)) if view not in wanted and views[view].posed]
        priors, cameras = priors_of(views, self._alignment, scale, held), [view.camera for view in views]
        if not pairs:
            return Alignment.of_none(cameras)
        found = align(pairs, cameras, priors, self._alignment)
        return found if priors.known.any() else upright(found)

    def _estimate(
        self,
        pairs: Sequence[PairPointMaps],
        views: Sequence[Keyframe],
        wanted: Sequence[int],
        alignment: Alignment,
    ) -> GeometryEstimate:
        pointmaps = make_pointmaps(wanted, pairs, alignment, self._config.edge_ratio)
        answers = [
            replace(refined(views[index], index, alignment), intrinsics="calibrated")
            if alignment.aligned[index]
            else views[index]
            for index in wanted
        ]
        return GeometryEstimate(tuple(answers), tuple(pointmaps), self._metric and alignment.metric)


def placed(views: Sequence[Keyframe], aligned: NDArray[np.bool_], min_share: float) -> list[int]:
    """Return the indices of the views that have a camera; a warning names the others.

    Args:
        views: all of them.
        aligned: [N] bool, which are connected to the world.
        min_share: of the views, up to which there is no map.

    Raises:
        GeometryError: too few have one; names the others.
    """
    known = aligned | np.array([view.posed for view in views])
    lost = listed([view.name for view, has in zip(views, known, strict=True) if not has], 12)
    if not aligned.any() or known.sum() <= max(1, min_share * len(views)):
        raise GeometryError(
            f"the views do not connect: to DUSt3R at most {int(aligned.sum())} of {len(views)} show the "
            f"same place{'; not ' * bool(lost)}{lost}. Take photos that overlap by half"
        )
    if lost:
        _log.warning("%d of %d views do not connect: %s", int((~known).sum()), len(views), lost)
    return np.flatnonzero(known).tolist()


def check_agreement(found: GeometryEstimate, alignment: Alignment) -> None:
    """Make sure that the views agree on something.

    Raises:
        GeometryError: next to nothing is known: pairs, poses and K contradict each other.
    """
    known = float(np.mean([pointmap.known.mean() for pointmap in found.pointmaps]))
    if known < LEAST_KNOWN:
        raise GeometryError(
            f"the pointmaps of {int(alignment.aligned.sum())} views contradict each other or the poses: "
            f"{100 * known:.1f}% of the pixels agree. Are the poses world_from_camera in optical axes, is "
            "K of images of this size?"
        )


def brought_back(
    pair: tuple[int, int], output: PairOutput, windows: tuple[Window, Window]
) -> PairPointMaps:
    """Return a prediction on the keyframes' own pixels, in half precision (0.05% of the distance)."""
    points, confidence = [], []
    for side, window in enumerate(windows):
        where, sure = window.back(output.points[side].numpy(), output.confidence[side].numpy())
        lost = ~(np.abs(where) < FARTHEST).all(axis=2)  # NaN too
        where[lost], sure[lost] = np.nan, 1
        points.append(where.astype(np.float16))
        confidence.append(np.minimum(sure, FARTHEST).astype(np.float16))
    return PairPointMaps(*pair, (points[0], points[1]), (confidence[0], confidence[1]))
