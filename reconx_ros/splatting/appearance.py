"""How the cameras rendered the scene: the exposure of each view, and what a new view's would be.

Auto-exposure and white balance follow what the camera looks at, so a view that nobody took is
developed like the views near it. Nothing of the new view itself is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera

Floats = NDArray[np.float32]

RADIANS_A_METRE = 0.5
"""Turning by this angle changes what a camera sees as much as moving by a metre, for a scene of the
typical depth of a room (2 m)."""

FLOOR = 1e-3
"""Distance of a view from itself, so that weights stay finite."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """Gain and bias of each view, and the colour where the map has nothing.

    Attributes:
        centres: [V, 3] float32 optical centres in the world.
        directions: [V, 3] float32 unit optical axes in the world.
        gains: [V, 3] float32; a view shows ``gain x + bias`` of the map's colour x, per channel.
        biases: [V, 3] float32.
        background: [3] float32, the mean colour of the views.
    """

    centres: Floats
    directions: Floats
    gains: Floats
    biases: Floats
    background: Floats

    @staticmethod
    def of(cameras: Sequence[Camera], gains: Floats, biases: Floats, background: Floats) -> "Appearance":
        """Return the appearance of views [V] with ``gains`` and ``biases`` [V, 3]."""
        poses = np.array([camera.world_from_camera for camera in cameras], np.float32).reshape(-1, 4, 4)
        return Appearance(poses[:, :3, 3], poses[:, :3, 2], gains, biases, background)

    @staticmethod
    def neutral() -> "Appearance":
        """Return the appearance of a map whose views are not known: colours as they are, black behind."""
        none = np.zeros((0, 3), np.float32)
        return Appearance(none, none, none, none, np.zeros(3, np.float32))

    def select(self, views: Sequence[int]) -> "Appearance":
        """Return the appearance of some of the views."""
        rows = list(views)
        return Appearance(
            self.centres[rows], self.directions[rows], self.gains[rows], self.biases[rows], self.background
        )

    def joined(self, other: "Appearance") -> "Appearance":
        """Return the views of both; the background stays this one's."""
        return Appearance(
            np.concatenate([self.centres, other.centres]),
            np.concatenate([self.directions, other.directions]),
            np.concatenate([self.gains, other.gains]),
            np.concatenate([self.biases, other.biases]),
            self.background,
        )

    def beside(self, before: "Appearance") -> "Appearance":
        """Return these views and those of ``before`` that do not stand where one of them does."""
        between = np.linalg.norm(before.centres[:, None] - self.centres, axis=-1)
        return self.joined(
            before.select(np.flatnonzero(between.min(axis=1, initial=np.inf) > FLOOR).tolist())
        )

    def moved(self, motion: NDArray[np.float64]) -> "Appearance":
        """Return the appearance with its views moved by a rigid ``motion`` [4, 4]."""
        rotation, shift = motion[:3, :3], motion[:3, 3]
        centres = (self.centres @ rotation.T + shift).astype(np.float32)
        directions = (self.directions @ rotation.T).astype(np.float32)
        return replace(self, centres=centres, directions=directions)

    def exposure(self, camera: Camera) -> tuple[Floats, Floats]:
        """Return gain and bias [3] for ``camera``, from the views near it.

        Views are weighted by ``exp(-(d / h)^2 / 2)``, where d adds up distance (metres) and angle
        (by ``RADIANS_A_METRE``) and h is the d of the nearest view: beside one view its exposure
        holds, half way between two their mean.
        """
        if len(self.gains) == 0:
            return np.ones(3, np.float32), np.zeros(3, np.float32)
        axis = camera.world_from_camera[:3, 2]
        angle = np.arccos(np.clip(self.directions @ axis, -1, 1))
        distance = np.linalg.norm(self.centres - camera.centre, axis=1) + angle / RADIANS_A_METRE
        weights = np.exp(-0.5 * (distance / max(float(distance.min()), FLOOR)) ** 2)
        weights /= weights.sum()
        return (weights @ self.gains).astype(np.float32), (weights @ self.biases).astype(np.float32)

    def develop(self, image: Floats, alpha: Floats, camera: Camera) -> Floats:
        """Return the picture ``camera`` would give of a render.

        Args:
            image: [H, W, 3] colours premultiplied by ``alpha``.
            alpha: [H, W] in [0, 1].
            camera: of the render.

        Returns:
            [H, W, 3] float32 in [0, 1], over the background.
        """
        gain, bias = self.exposure(camera)
        over = alpha[..., None]
        picture = image * gain + bias * over + (1 - over) * self.background
        return np.asarray(np.clip(picture, 0, 1), np.float32)
