"""The DUSt3R room: colour images, with or without poses, to aligned pointmaps."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.align import Alignment, align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.pointmaps import make_pointmaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.refined import refined
from reconx_ros.geometry.dust3r.config import Dust3rConfig
from reconx_ros.geometry.dust3r.load import PairPredictor, load_predictor
from reconx_ros.geometry.dust3r.model import PairOutput
from reconx_ros.geometry.dust3r.preprocess import Window, window_of
from reconx_ros.geometry.protocol import GeometryEstimate, PointMap
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH
from reconx_ros.keyframes.scale import scene_depth
from reconx_ros.progress import Progress

FARTHEST = 6e4
"""Largest number that a pair's points and confidences hold (float16)."""


class Dust3rGeometry:
    """Pairs of colour images through the network, then global alignment with what is known of the poses.

    Measured depth is not looked at. Poses are refined (``alignment.poses``), those of views that are not
    asked for (``only``) stay as they are. A view that no pair connects gets a pointmap that is unknown
    everywhere.
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
            GeometryError: no weights, or not DUSt3R's; without ``only``: fewer than two views; sizes or
                poses are wrong; the poses cannot tell the scale.
            MissingDependencyError: see ``load_predictor``.
        """
        views = [replace(keyframe, depth=None) for keyframe in keyframes]
        for view in views:
            check_keyframe(view)
        wanted = list(range(len(views)) if only is None else only)
        predictor = load_predictor(self._config)
        pairs = self._predict(predictor, views, None if only is None else set(wanted), progress)
        if progress.cancelled():
            return GeometryEstimate((), (), self._metric)
        if not pairs:
            if only is None:
                raise GeometryError(
                    f"DUSt3R needs at least two views that belong together, not {len(views)}"
                )
            unknown = tuple(PointMap.unknown(views[index].camera) for index in wanted)
            return GeometryEstimate(tuple(views[index] for index in wanted), unknown, self._metric)
        alignment = self._align(pairs, views, wanted)
        return self._estimate(pairs, views, wanted, alignment)

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
        priors = priors_of(views, self._alignment, scale, held)
        return align(pairs, [view.camera for view in views], priors, self._alignment)

    def _estimate(
        self,
        pairs: Sequence[PairPointMaps],
        views: Sequence[Keyframe],
        wanted: Sequence[int],
        alignment: Alignment,
    ) -> GeometryEstimate:
        pointmaps = make_pointmaps(wanted, pairs, alignment, self._config.edge_ratio)
        answers = [refined(views[index], index, alignment) for index in wanted]
        return GeometryEstimate(tuple(answers), tuple(pointmaps), self._metric and alignment.metric)


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
