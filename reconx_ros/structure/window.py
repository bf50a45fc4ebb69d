"""A turn on the spot as far as the inputs reach: a window of up to 360 degrees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.structure.candidates import turned
from reconx_ros.structure.hopes import cells
from reconx_ros.structure.ledger import joined
from reconx_ros.structure.offers import CELL, MOST_PLACES
from reconx_ros.structure.scene import Scene
from reconx_ros.structure.trajectory import Anchors

Array = NDArray[np.float64]

STEPS = 36
"""Directions looked at around a place: every 10 degrees."""

INWARD = (0.25, 0.5)
"""Free places looked at ahead of each keyframe, in depths of what it sees."""


@dataclass(frozen=True, eq=False)
class Turn:
    """A turn on the spot.

    Attributes:
        camera: where it stands and looks at angle 0.
        keyframe: whose camera that is, if a keyframe's.
        axis: [3] unit, in the world, that it turns about.
        left: radians it turns to the left, ≤ 0.
        right: radians it turns to the right; ``right − left`` is 2π for a full turn.
        gain: what it hopes to learn, in weighted pixels.
    """

    camera: Camera
    keyframe: int | None
    axis: Array
    left: float
    right: float
    gain: float

    @property
    def full(self) -> bool:
        """Whether it comes back to where it began."""
        return self.right - self.left > 2 * np.pi - 1e-6

    def at(self, angle: float) -> Camera:
        """Return the camera turned by ``angle``; at 0 the one it stands for, as it is."""
        return self.camera if angle == 0 else turned(self.camera, self.axis, angle)


def best_turn(scene: Scene) -> Turn | None:
    """Return the turn that hopes to learn most, at a keyframe or a free place ahead of one.

    From where it looks at angle 0, the camera turns either way until too little of its view is known
    (``PlanConfig.most_unseen``) or it sees a surface from behind.
    """
    down = np.mean([camera.world_from_camera[:3, 1] for camera in scene.cameras.values()], axis=0)
    places = scene.places()
    some = np.linspace(0, len(places) - 1, min(MOST_PLACES, len(places))).round().astype(int)
    turns = []
    for index in (places[at] for at in np.unique(some)):
        own = scene.cameras[index]
        axis = down if np.linalg.norm(down) > 0.5 else own.world_from_camera[:3, 1]
        axis = axis / np.linalg.norm(axis)
        turns.append(_turn(scene, own, index, axis))
        turns += [_turn(scene, camera, None, axis) for camera in _ahead(scene, index)]
    worth = [turn for turn in turns if turn is not None and turn.gain > 0]
    return max(worth, key=lambda turn: turn.gain) if worth else None


def _ahead(scene: Scene, index: int) -> list[Camera]:
    """Return the free places ahead of a keyframe, looking its way."""
    made = []
    for share in INWARD:
        pose = scene.cameras[index].world_from_camera.copy()
        pose[:3, 3] += share * scene.depth(index) * pose[:3, 2]
        made.append(scene.cameras[index].moved(pose))
    free = scene.space.free(np.stack([camera.centre for camera in made]))
    return [camera for camera, may in zip(made, free, strict=True) if may]


def _turn(scene: Scene, camera: Camera, keyframe: int | None, axis: Array) -> Turn | None:
    step = 2 * np.pi / STEPS
    looks = [scene.survey.draw(turned(camera, axis, step * number)) for number in range(STEPS)]
    good = [scene.fillable(look) for look in looks]
    if not good[0]:
        return None
    right = next((n for n in range(1, STEPS) if not good[n]), STEPS) - 1
    left = next((n for n in range(1, STEPS) if not good[-n]), STEPS) - 1
    if right == STEPS - 1:
        left, right = 0, STEPS
    shown = [looks[n % STEPS] for n in range(-left, right + 1)]
    brings = joined([cells(scene.hopes_of(look), CELL * scene.survey.depth) for look in shown])
    return Turn(camera, keyframe, axis, -left * step, right * step, float(brings[1].sum()))


def filmed(turn: Turn, count: int) -> list[tuple[list[Camera], Anchors]]:
    """Return the clips of a turn and their anchors, ``count`` ≥ 2 frames in all, the shared one once.

    A full turn ends with the camera it began with. Otherwise the camera turns from left to right at one
    speed for each side; at a keyframe these are two clips that share its frame.
    """
    if turn.full:
        angles = np.linspace(0, turn.right, count)
        return [([turn.at(a) for a in angles[:-1]] + [turn.camera], (turn.keyframe, turn.keyframe))]
    if turn.keyframe is None:
        return [([turn.at(a) for a in np.linspace(turn.left, turn.right, count)], (None, None))]
    wide = max(turn.right - turn.left, 1e-9)
    before = round((count - 1) * -turn.left / wide)
    if turn.left < 0 < turn.right and count > 2:
        before = min(max(before, 1), count - 2)
    parts: list[tuple[list[Camera], Anchors]] = []
    if before:
        angles = np.linspace(turn.left, 0, before + 1)
        parts.append(([turn.at(a) for a in angles], (None, turn.keyframe)))
    if count - 1 - before:
        angles = np.linspace(0, turn.right, count - before)
        parts.append(([turn.at(a) for a in angles], (turn.keyframe, None)))
    return parts
