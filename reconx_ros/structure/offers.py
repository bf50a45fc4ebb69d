"""What clips could be filmed, and what each would bring: between keyframes and beyond them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.structure.candidates import beyond
from reconx_ros.structure.hopes import cells
from reconx_ros.structure.ledger import Cells, joined
from reconx_ros.structure.overlap import shared, visible
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.scene import Scene, alike

SHARED = 0.05
"""Share of what one keyframe sees of the cloud that the next must see for a clip between them."""

MOST_PLACES = 12
"""Keyframes that views beyond are looked for around: more are thinned evenly."""

CELL = 0.08
"""Side of a cell of the world, in scene depths, in which two views' hopes are the same."""


@dataclass(frozen=True, eq=False)
class Offer:
    """A clip that could be filmed.

    Attributes:
        anchors: the keyframes at its ends; ``None`` for an end beyond.
        ends: the cameras at its ends.
        cells: what it hopes to learn.
    """

    anchors: tuple[int, int | None]
    ends: tuple[Camera, Camera]
    cells: Cells

    @property
    def between(self) -> bool:
        """Whether it goes from keyframe to keyframe."""
        return self.anchors[1] is not None

    def __str__(self) -> str:
        """Say what it is."""
        first, last = self.anchors
        return (
            f"clip beyond keyframe {first}"
            if last is None
            else f"clip between keyframes {first} and {last}"
        )


def offers_between(scene: Scene, notes: list[str], fillable: bool) -> list[Offer]:
    """Return a clip between each two consecutive posed keyframes that see the same part of the cloud.

    Args:
        scene: what is known.
        notes: gets a line for each gap without a clip.
        fillable: whether to leave out clips with too little known on the way (``Scene.fillable``).
    """
    seen = {index: visible(scene.survey, sketch) for index, sketch in scene.sketches.items()}
    made = []
    for first, last in pairwise(scene.cameras):
        ends = scene.cameras[first], scene.cameras[last]
        share, gap = shared(seen[first], seen[last]), f"keyframes {first} and {last}"
        if share < SHARED:
            notes.append(f"no clip between {gap}: they share {share:.0%} of their view")
        elif not alike(ends):
            notes.append(f"no clip between {gap}: their images differ in size")
        else:
            views = [scene.survey.draw(camera) for camera in interpolate(*ends, 5)[1:-1]]
            if fillable and not all(map(scene.fillable, views)):
                worst = max(view.unseen for view in views)
                notes.append(f"no clip between {gap}: on the way {worst:.0%} of the view is unknown")
                continue
            brings = joined([cells(scene.hopes_of(view), CELL * scene.survey.depth) for view in views])
            made.append(Offer((first, last), ends, brings))
    return made


def offers_beyond(scene: Scene, notes: list[str]) -> list[Offer]:
    """Return clips from a keyframe to a view that no input has, but that can be filled.

    Args:
        scene: what is known.
        notes: gets a line that says how many views were left out, and why.
    """
    places = scene.places()
    some = np.unique(np.linspace(0, len(places) - 1, min(MOST_PLACES, len(places))).round().astype(int))
    looks = [
        (places[at], camera)
        for at in some
        for camera in beyond(scene.cameras[places[at]], scene.depth(places[at]))
    ]
    free = scene.space.free(np.stack([camera.centre for _, camera in looks]))
    made, filled = [], 0
    for (index, camera), may in zip(looks, free, strict=True):
        if may:
            brings = _brings(scene, camera)
            filled += brings is None
            if brings is not None:
                made.append(Offer((index, None), (scene.cameras[index], camera), brings))
    notes.append(
        f"{len(looks)} views beyond {len(some)} keyframes: {np.count_nonzero(~free)} not in free space, "
        f"{filled} show too little or too much that is new"
    )
    return made


def _brings(scene: Scene, camera: Camera) -> Cells | None:
    sketch = scene.survey.draw(camera)
    if sketch.unseen < scene.config.least_unseen or not scene.fillable(sketch):
        return None
    return cells(scene.hopes_of(sketch), CELL * scene.survey.depth)
