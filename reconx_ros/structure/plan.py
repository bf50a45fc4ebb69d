"""Plan the path along which the unseen parts are filmed: step 2 of ReconX, every pose known exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.structure.choose import FEWEST_BETWEEN, Choice, choose, lengths_between, lengths_of
from reconx_ros.structure.config import SHORT_CLIP, PlanConfig
from reconx_ros.structure.offers import offers_between, offers_beyond
from reconx_ros.structure.path import through
from reconx_ros.structure.route import chained
from reconx_ros.structure.scene import Scene
from reconx_ros.structure.trajectory import Anchors, Clip, Kind, Trajectory
from reconx_ros.structure.window import best_turn, filmed

LEAST_GAIN = 0.005
"""Weighted pixels, as a share of a view's, that a clip must bring to be worth its frames."""


@dataclass(frozen=True, eq=False)
class _Take:
    """One clip with its cameras; ``joins``: whether its first frame is the last of the one before."""

    kind: Kind
    anchors: Anchors
    cameras: list[Camera]
    joins: bool = False


def plan_trajectory(
    keyframes: Sequence[Keyframe], count: int, cloud: PointCloud, config: PlanConfig | None = None
) -> Trajectory:
    """Plan at most ``count`` frames to film.

    ``between``: a clip between each two consecutive keyframes that see the same part of the cloud; where
    ``count`` does not allow three frames for each, those that hope for most. ``uncertain``: clips of
    ``config.clip`` frames, between keyframes or from a keyframe to a view beyond, the most hopeful first,
    what is filmed already counted once (``ledger.py``). ``window``: a turn on the spot (``window.py``).

    Clips that meet at a keyframe share its frame and pass it at one velocity. The ends of a clip at a
    keyframe are that keyframe's camera exactly. What hopes for most comes first. Every path keeps in free
    space (``free_space.py``) or is bent or left out. Where nothing can be filmed (no posed keyframe, a
    cloud that is empty or that no keyframe sees, nothing to hope for) the trajectory is empty and its
    notes say why.

    Args:
        keyframes: in time order; those without a pose are passed over. One is enough for views beyond.
        count: frames in all, anchors included; 0 plans nothing.
        cloud: the global point cloud.
        config: the settings; the defaults where not given.

    Raises:
        SynthesisError: ``count`` is 1 or negative.
    """
    if count < 0 or count == 1:
        raise SynthesisError(f"{count} frames: a clip has two ends, so 0 or at least 2 are needed")
    config = config or PlanConfig()
    posed = {index: keyframe.camera for index, keyframe in enumerate(keyframes) if keyframe.posed}
    if count == 0:
        return Trajectory((), notes=("0 frames were asked for",))
    scene = Scene.of(posed, cloud, config)
    if scene is None:
        why = "no keyframe has a pose" if not posed else f"no keyframe sees any of {len(cloud)} points"
        return Trajectory((), notes=(f"nothing to plan: {why}",))
    notes: list[str] = []
    takes = _window(scene, count, notes) if config.trajectory == "window" else _clips(scene, count, notes)
    return _trajectory(scene, takes, notes)


def _window(scene: Scene, count: int, notes: list[str]) -> list[_Take]:
    turn = best_turn(scene)
    if turn is None:
        notes.append("no window: no place from which more than the inputs' own views can be filled")
        return []
    where = "a free place" if turn.keyframe is None else f"keyframe {turn.keyframe}"
    notes.append(f"window at {where}: {np.degrees(turn.left):.0f} to {np.degrees(turn.right):.0f} degrees")
    parts = filmed(turn, count)
    return [_Take("window", ends, cameras, number > 0) for number, (cameras, ends) in enumerate(parts)]


def _clips(scene: Scene, count: int, notes: list[str]) -> list[_Take]:
    if scene.config.trajectory == "between":
        offers = offers_between(scene, notes, fillable=False)
        return _taken(scene, choose(scene, offers, lengths_between(len(offers), count), count, notes))
    lengths = lengths_of(count, scene.config.clip or SHORT_CLIP)
    offers = offers_beyond(scene, notes)
    if max(lengths) >= FEWEST_BETWEEN:
        offers = [*offers_between(scene, notes, fillable=True), *offers]
    else:
        notes.append(
            f"no clips between keyframes: they take {FEWEST_BETWEEN} frames, plan.clip is {max(lengths)}"
        )
    return _taken(scene, choose(scene, offers, lengths, count, notes, LEAST_GAIN))


def _taken(scene: Scene, chosen: list[Choice]) -> list[_Take]:
    """Join clips that follow each other; what was chosen first comes first, for time may run out."""
    first = {offer.anchors[0]: number for number, (offer, _) in enumerate(chosen) if offer.between}
    ends = {chosen[number][0].anchors[1] for number in first.values()}
    blocks: list[tuple[int, list[_Take]]] = []
    for start in (index for index in first if index not in ends):
        at: int | None = start
        numbers = []
        while at in first:
            numbers.append(first[at])
            at = chosen[first[at]][0].anchors[1]
        blocks.append((min(numbers), _run(scene, [chosen[number] for number in numbers])))
    for number, (offer, knots) in enumerate(chosen):
        if not offer.between:
            blocks.append((number, [_Take("extrapolated", offer.anchors, through(knots))]))
    return [take for _, takes in sorted(blocks, key=lambda block: block[0]) for take in takes]


def _run(scene: Scene, run: list[Choice]) -> list[_Take]:
    """Return clips that follow each other, on one spline where that stays in free space."""
    path = through(chained([knots for _, knots in run]))
    passed = [run[0][0].ends[0], *(offer.ends[1] for offer, _ in run)]
    free, takes, start = scene.space.obstacle(path, passed) is None, [], 0
    for number, (offer, knots) in enumerate(run):
        stop = start + knots[-1].frame + 1
        cameras = path[start:stop] if free else through(knots)
        takes.append(_Take("interpolated", offer.anchors, cameras, number > 0))
        start = stop - 1
    return takes


def _trajectory(scene: Scene, takes: list[_Take], notes: list[str]) -> Trajectory:
    cameras: list[Camera] = []
    clips = []
    for take in takes:
        start = len(cameras) - take.joins
        cameras += take.cameras[take.joins :]
        looks = [scene.hopes(camera) for camera in take.cameras]
        weights = np.stack([look.weight for look in looks])
        unseen = np.array([look.unseen for look in looks], np.float32)
        clips.append(Clip(take.kind, start, len(cameras), take.anchors, weights, unseen))
    return Trajectory(tuple(cameras), tuple(clips), tuple(notes))
