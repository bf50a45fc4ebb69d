"""The plane-sweep room: depth from posed colour images, without weights and without a depth camera."""

from collections.abc import Sequence
from dataclasses import replace

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.protocol import GeometryEstimate, PointMap
from reconx_ros.geometry.stereo.depth_map import DepthMap, StereoView, estimate_depth
from reconx_ros.geometry.stereo.pointmap import make_pointmap
from reconx_ros.geometry.stereo.survey import Key, Survey, view_key
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Progress


class PlaneSweepGeometry:
    """Posed colour images to points, normals and confidence.

    Metric poses are refined within the configured uncertainty before anything else. Measured depth is
    never looked at, and the keyframes come back without it. A view without a neighbour (the first of a
    live map; the same place again; a pure rotation) gets a pointmap that is unknown everywhere; ask for
    it again when others have come.

    Depth maps are remembered for the views of the last call: a live map pays for the new view alone.
    """

    name = "plane-sweep"

    def __init__(self, config: PlaneSweepConfig, metric: bool = True) -> None:
        """Create the room.

        Args:
            config: how to match.
            metric: whether the poses are in metres. Those that are not were computed from the images
                (structure from motion): they fit to less than a pixel and are left as they are.
        """
        self._config = config
        self._metric = metric
        self._known: dict[Key, DepthMap] = {}
        self._survey = Survey(config, exact=not metric)

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe (``Geometry.estimate``).

        When cancelled, the views done so far are returned.

        Raises:
            GeometryError: without ``only``: no view has a neighbour that shows the same surface from
                another place, poses and intrinsics do not fit the images, a focal length is clearly wrong,
                or there is nothing in them to match. With ``only`` nothing is known then, and ``notes`` say
                why. A pose is not a rotation, or sizes disagree.
        """
        views = [replace(keyframe, depth=None) for keyframe in keyframes]
        for view in views:
            check_keyframe(view)
        wanted = list(range(len(views)) if only is None else only)
        self._survey.begin(views, free=wanted)
        views = self._survey.views
        around = {index: self._survey.around(index).neighbours for index in wanted}
        if only is None and not any(around.values()):
            raise GeometryError(self._survey.why_nothing())
        wrong = self._survey.wrong_focal()
        if wrong is not None and only is None:
            raise GeometryError(wrong)
        if wrong is not None:
            return self._nothing(wanted, wrong)
        done = self._match_all(views, wanted, around, progress)
        pointmaps = [self._pointmap(views, index, around[index]) for index in done]
        if only is None and len(done) == len(views) and not any(p.known.any() for p in pointmaps):
            raise GeometryError(self._survey.doubtful_focal() or _no_texture(len(views)))
        return GeometryEstimate(
            tuple(views[i] for i in done),
            tuple(pointmaps),
            self._metric,
            {views[i].name: why for i in done if (why := self._survey.why_excluded(i)) is not None},
            tuple(self._survey.notes()),
        )

    def _nothing(self, wanted: Sequence[int], why: str) -> GeometryEstimate:
        """Return an estimate that knows nothing."""
        views = tuple(self._survey.views[index] for index in wanted)
        unknown = tuple(PointMap.unknown(view.camera) for view in views)
        return GeometryEstimate(views, unknown, self._metric, notes=(why,))

    def _match_all(
        self,
        views: Sequence[Keyframe],
        wanted: Sequence[int],
        around: dict[int, tuple[int, ...]],
        progress: Progress,
    ) -> list[int]:
        """Match the wanted views anew, their neighbours where need be; return the wanted ones done."""
        keys = [view_key(view) for view in views]
        old = {key: value for key, value in self._known.items() if key in set(keys)}
        for index in wanted:
            old.pop(keys[index], None)
        self._known = old
        done: list[int] = []
        for index in wanted:
            for view in (index, *around[index]):
                if keys[view] not in self._known and not progress.cancelled():
                    self._match(views, view)
            if progress.cancelled():
                break
            done.append(index)
            progress.update("geometry", len(done), len(wanted), _note(len(around[index])))
        return done

    def _match(self, views: Sequence[Keyframe], index: int) -> None:
        """Remember the depth map of a view, if it has neighbours."""
        around = self._survey.around(index)
        if around.neighbours:
            width = self._config.max_width
            others = [StereoView.of(views[i], width) for i in around.neighbours]
            view = StereoView.of(views[index], width)
            depth_map = estimate_depth(view, others, around.near, around.far, self._config)
            self._known[view_key(views[index])] = depth_map

    def _pointmap(self, views: Sequence[Keyframe], index: int, neighbours: Sequence[int]) -> PointMap:
        depth_map = self._known.get(view_key(views[index]))
        if depth_map is None:
            return PointMap.unknown(views[index].camera)
        maps = (self._known.get(view_key(views[i])) for i in neighbours)
        others = [other for other in maps if other is not None]
        least, bias = self._config.least_probability, self._survey.focal_bias(index)
        return make_pointmap(
            depth_map, others, views[index].camera, least, bias, self._survey.pose_translation
        )


def _note(neighbours: int) -> str:
    return f"matched with {neighbours} views" if neighbours else "no view to match with"


def _no_texture(keyframes: int) -> str:
    return (
        f"nothing in {keyframes} keyframes could be matched: the images show no texture, or what "
        "they show moved between them; stereo needs a textured scene that stands still"
    )
