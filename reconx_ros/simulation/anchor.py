"""Placing furniture against a wall: a local frame over a scene builder."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.simulation.builder import SceneBuilder


@dataclass(frozen=True)
class Anchor:
    """A frame at the foot of a wall: x along the wall, y into the room, z up, metres.

    Attributes:
        builder: where the parts go.
        origin: [3] the foot of the wall's middle, in the world.
        yaw: radians, world from local.
        length: metres of wall.
    """

    builder: SceneBuilder
    origin: tuple[float, float, float]
    yaw: float
    length: float

    def point(self, x: float, y: float, z: float) -> NDArray[np.float64]:
        """Return the world coordinates [3] of a local point."""
        return np.asarray(self.origin) + self.vector(x, y, z)

    def vector(self, x: float, y: float, z: float) -> NDArray[np.float64]:
        """Return the world direction [3] of a local one."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([cos * x - sin * y, sin * x + cos * y, z])

    def box(
        self,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        faces: int | Sequence[int],
        turn: float = 0.0,
    ) -> None:
        """Stand a box of ``size`` with the middle of its underside ``at``, turned by ``turn`` radians."""
        centre = self.point(at[0], at[1], at[2] + size[2] / 2)
        self.builder.box(centre, size, faces, self.yaw + turn)

    def ball(self, at: tuple[float, float, float], size: tuple[float, float, float], material: int) -> None:
        """Lay an ellipsoid of diameters ``size`` with its lowest point ``at``."""
        self.builder.ball(self.point(at[0], at[1], at[2] + size[2] / 2), size, material)

    def cylinder(
        self, at: tuple[float, float, float], diameter: float, height: float, faces: int | Sequence[int]
    ) -> None:
        """Stand a cylinder with the middle of its underside ``at``."""
        centre = self.point(at[0], at[1], at[2] + height / 2)
        self.builder.cylinder(centre, diameter, height, faces)
