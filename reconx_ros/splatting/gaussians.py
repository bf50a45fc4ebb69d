"""The map: 3D Gaussians with confidence and provenance, as plain arrays (no torch)."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GaussianMap:
    """N Gaussians (Kerbl et al. 2023), unactivated as they are optimised and stored.

    Attributes:
        means: [N, 3] float32 in the world.
        log_scales: [N, 3] float32, natural logarithm of the standard deviations.
        quaternions_wxyz: [N, 4] float32, world from Gaussian axes, not necessarily unit.
        opacity_logits: [N] float32.
        sh: [N, K, 3] float32 spherical harmonics, K = (degree + 1)^2; colour = 0.5 + sum, clipped at 0.
        confidence: [N] float32 in [0, 1].
        provenance: [N] uint8, ``OBSERVED`` or ``GENERATED`` (reconx_ros.geometry.protocol).
    """

    means: Floats
    log_scales: Floats
    quaternions_wxyz: Floats
    opacity_logits: Floats
    sh: Floats
    confidence: Floats
    provenance: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return N."""
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """Return the degree of the spherical harmonics, 0 to 3."""
        return math.isqrt(self.sh.shape[1]) - 1

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "GaussianMap":
        """Return the Gaussians at ``rows`` (mask [N] or indices)."""
        return GaussianMap(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def of_degree(self, degree: int) -> "GaussianMap":
        """Return the same with spherical harmonics of ``degree``: what is above is cut, what lacks is 0."""
        count = (degree + 1) ** 2
        if self.sh.shape[1] == count:
            return self
        sh = np.zeros((len(self), count, 3), np.float32)
        shared = min(count, self.sh.shape[1])
        sh[:, :shared] = self.sh[:, :shared]
        return replace(self, sh=sh)

    @staticmethod
    def empty(degree: int) -> "GaussianMap":
        """Return a map without Gaussians, for spherical harmonics of ``degree``."""
        three, four = np.empty((0, 3), np.float32), np.empty((0, 4), np.float32)
        sh, one = np.empty((0, (degree + 1) ** 2, 3), np.float32), np.empty(0, np.float32)
        return GaussianMap(three, three, four, one, sh, one, np.empty(0, np.uint8))

    @staticmethod
    def concatenate(first: "GaussianMap", second: "GaussianMap") -> "GaussianMap":
        """Return the Gaussians of both maps, ``first`` before ``second`` (same SH degree)."""
        return GaussianMap(
            **{
                f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)])
                for f in fields(GaussianMap)
            }
        )
