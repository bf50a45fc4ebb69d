"""Putting a scene together: boxes, balls, cylinders, lamps, one call each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reconx_ros.simulation.materials import PATTERN_ID, Materials
from reconx_ros.simulation.scene import Lightmap, Lights, Scene
from reconx_ros.simulation.solids import Solids
from reconx_ros.simulation.surface import BALL, BOX, CYLINDER, FACES

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _Solid:
    kind: int
    rotation: Vector
    centre: Vector
    half: Vector
    hollow: bool
    faces: tuple[int, ...]


class SceneBuilder:
    """Collects the parts of one scene; world axes x, y level and z up, metres, floor at z = 0.

    Attributes:
        random: the generator every choice of the scene is drawn from.
        ambient: linear RGB of the light from all around.
        sky: linear RGB at the horizon and overhead.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.ambient: ArrayLike = (0.3, 0.31, 0.33)
        self.sky: ArrayLike = ((0.6, 0.7, 0.8), (0.15, 0.3, 0.6))
        self._solids: list[_Solid] = []
        self._materials: list[tuple[int, Vector, float, int, float]] = []
        self._lights: list[tuple[Vector, Vector, Vector, Vector]] = []

    def material(self, pattern: str, colours: Sequence[str], period: float = 0.3, glow: float = 0.0) -> int:
        """Add a material and return its row.

        Args:
            pattern: a name in ``reconx_ros.simulation.materials.PATTERNS``.
            colours: up to three sRGB colours as ``rrggbb``; the last is repeated.
            period: metres, the size of the repeating unit.
            glow: light given off, as a multiple of the reflectance.
        """
        linear = [_linear(colour) for colour in colours]
        linear += [linear[-1]] * (3 - len(linear))
        seed = int(self.random.integers(0, 4096))
        self._materials.append((PATTERN_ID[pattern], np.stack(linear), period, seed, glow))
        return len(self._materials) - 1

    def box(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        faces: int | Sequence[int],
        yaw: float = 0.0,
        hollow: bool = False,
    ) -> None:
        """Add a box.

        Args:
            centre: [3] metres.
            size: [3] metres.
            faces: the material of all faces, or of -x, +x, -y, +y, -z, +z.
            yaw: radians about z.
            hollow: whether it is seen from inside.
        """
        self._add(BOX, centre, size, faces, yaw, hollow)

    def ball(self, centre: ArrayLike, size: ArrayLike, material: int) -> None:
        """Add an ellipsoid of diameters ``size`` [3] metres."""
        self._add(BALL, centre, size, material, 0.0, False)

    def cylinder(
        self, centre: ArrayLike, diameter: float, height: float, faces: int | Sequence[int]
    ) -> None:
        """Add an upright cylinder; of ``faces`` the first is the side and the last two the ends."""
        self._add(CYLINDER, centre, (diameter, diameter, height), faces, 0.0, False)

    def _add(
        self,
        kind: int,
        centre: ArrayLike,
        size: ArrayLike,
        faces: int | Sequence[int],
        yaw: float,
        hollow: bool,
    ) -> None:
        cos, sin = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        rows = (faces,) * FACES if isinstance(faces, int) else tuple(faces)
        half = np.asarray(size, float) / 2
        self._solids.append(_Solid(kind, rotation, np.asarray(centre, float), half, hollow, rows))

    def lamp(self, centre: ArrayLike, first: ArrayLike, second: ArrayLike, radiance: ArrayLike) -> None:
        """Add a rectangular lamp with half edges ``first`` and ``second``, shining along their cross."""
        parts = (np.asarray(part, float) for part in (centre, first, second, radiance))
        self._lights.append(tuple(parts))  # type: ignore[arg-type]

    def build(self) -> Scene:
        """Return the scene, a batch of one on the CPU, without baked light."""
        ordered = sorted(self._solids, key=lambda solid: solid.kind)
        kinds = [solid.kind for solid in ordered]
        counts = (kinds.count(BOX), kinds.count(BALL), kinds.count(CYLINDER))
        slots = len(ordered)
        return Scene(
            Solids(
                counts,
                _stack([solid.rotation for solid in ordered]),
                _stack([solid.centre for solid in ordered]),
                _stack([solid.half for solid in ordered]),
            ),
            torch.tensor([[solid.hollow for solid in ordered]]),
            torch.tensor([[solid.faces for solid in ordered]]),
            self._material_table(),
            Lights(*(_stack([light[part] for light in self._lights]) for part in range(4))),
            _stack(self.ambient),
            _stack(self.sky),
            Lightmap(torch.ones(1, slots, FACES, 3, dtype=torch.int64), torch.ones(1, 4, 3)),
        )

    def _material_table(self) -> Materials:
        patterns, colours, periods, seeds, glows = zip(*self._materials, strict=True)
        return Materials(
            torch.tensor([patterns]), _stack(colours), _stack(periods), torch.tensor([seeds]), _stack(glows)
        )


def _stack(values: ArrayLike) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))[None]


def _linear(colour: str) -> Vector:
    """Return linear RGB of an sRGB colour ``rrggbb`` (gamma 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255.0 for at in (0, 2, 4)]
    return np.array(channels) ** 2.2
