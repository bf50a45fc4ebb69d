"""The Gaussians while they are optimised: parameters, Adam's memory, limits, provenance, the cap."""

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.initialise import thin
from reconx_ros.splatting.limits import limit_scales, scale_ceiling, scene_extent
from reconx_ros.splatting.motion import move_rows
from reconx_ros.splatting.parameters import GaussianParameters

MAX_OPACITY_LOGIT = 12.0


class GaussianState:
    """Everything that has one row a Gaussian; finite and under the cap at any time.

    Attributes:
        parameters: the leaves that are optimised.
        point_confidence: [N] float32 in [0, 1], as the Gaussians were initialised.
        provenance: [N] uint8.
        extent: of the scene, in world units.
        dropped: Gaussians the cap kept out so far.
        first_rows: the rows of the first map that the cap let in.
        repaired: parameter rows, summed over steps, whose gradient was not finite and was dropped.
    """

    def __init__(self, gaussians: GaussianMap, config: SplattingConfig, device: torch.device) -> None:
        check_gaussians(gaussians)
        self._config, self._device = config, device
        self.dropped = self.repaired = 0
        gaussians, self.first_rows = self._capped(gaussians)
        self._adopt(gaussians)
        self._ceiling = scale_ceiling(self.parameters.log_scales, config.limits, self.extent)
        self._adam = GaussianAdam(self.parameters)

    def __len__(self) -> int:
        """Return N."""
        return len(self.parameters)

    def add(self, gaussians: GaussianMap) -> NDArray[np.intp]:
        """Add Gaussians; where the cap is exceeded, old and new are thinned out alike.

        Returns:
            The rows kept of the old map followed by the new one, ascending: the map's rows from now on.

        Raises:
            SplattingError: numbers that are not finite, or another SH degree; nothing is added then.
        """
        check_gaussians(gaussians)
        before = self.snapshot(self.point_confidence)
        if gaussians.sh_degree != before.sh_degree:
            raise SplattingError(
                f"Gaussians of SH degree {gaussians.sh_degree} cannot join a map of "
                f"degree {before.sh_degree}"
            )
        both, rows = self._capped(GaussianMap.concatenate(before, gaussians))
        old = rows[rows < len(before)]
        kept, added = torch.from_numpy(old).to(self._device), len(both) - len(old)
        self._adopt(both)
        fresh = scale_ceiling(self.parameters.log_scales[len(old) :], self._config.limits, self.extent)
        self._ceiling = torch.cat([self._ceiling[kept], fresh])
        self._adam.rearrange(kept, added)
        return rows

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Drop all Gaussians but those at ``rows``, at least one, in this order."""
        self._adopt(self.snapshot(self.point_confidence).select(rows))
        kept = torch.from_numpy(rows).to(self._device)
        self._ceiling = self._ceiling[kept]
        self._adam.rearrange(kept, 0)

    def move(self, rows: NDArray[np.intp], motion: NDArray[np.float64]) -> None:
        """Move the Gaussians at ``rows`` by a rigid ``motion`` [4, 4]."""
        move_rows(self.parameters, torch.from_numpy(rows).to(self._device), motion)

    @torch.no_grad()
    def step(self, visible: torch.Tensor, rates: Rates) -> None:
        """Move the ``visible`` [N] Gaussians by their gradients; gradients not finite are dropped."""
        self.repaired += self._adam.step(self.parameters, visible, rates)

    def step_frame(self, frame: Frame, rates: Rates) -> None:
        """Do the same by the gradients that the image of ``frame`` has received."""
        self.repaired += frame.step(self._adam, rates)

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring scales, opacities and quaternions back into their ranges."""
        parameters = self.parameters
        limit_scales(parameters.log_scales, self._ceiling, self._config.limits, self.extent)
        parameters.opacity_logits.clamp_(-MAX_OPACITY_LOGIT, MAX_OPACITY_LOGIT)
        norm = parameters.quaternions_wxyz.norm(dim=1, keepdim=True).clamp(min=1e-6)
        parameters.quaternions_wxyz.div_(norm)

    def snapshot(self, confidence: Floats) -> GaussianMap:
        """Return a copy of the map with the given confidence [N]."""
        arrays = self.parameters.to_arrays()
        return GaussianMap(**arrays, confidence=confidence.copy(), provenance=self.provenance.copy())

    def _capped(self, gaussians: GaussianMap) -> tuple[GaussianMap, NDArray[np.intp]]:
        rows, stands_for = thin(gaussians.means, gaussians.confidence, self._config.max_gaussians)
        self.dropped += len(gaussians) - len(rows)
        if len(rows) < len(gaussians):
            gaussians = _widened(gaussians, rows, stands_for)
        return gaussians, rows

    def _adopt(self, gaussians: GaussianMap) -> None:
        self.parameters = GaussianParameters.from_map(gaussians, self._device, requires_grad=True)
        self.point_confidence = gaussians.confidence
        self.provenance = gaussians.provenance
        self.extent = scene_extent(gaussians.means)


def check_gaussians(gaussians: GaussianMap) -> None:
    """Make sure that there are Gaussians and that their numbers are finite.

    Raises:
        SplattingError: there are none, or some have a number that is not finite.
    """
    if len(gaussians) == 0:
        raise SplattingError("the map has no Gaussians; at least one is needed")
    arrays = (
        gaussians.means, gaussians.log_scales, gaussians.quaternions_wxyz,
        gaussians.opacity_logits, gaussians.sh, gaussians.confidence,
    )  # fmt: skip
    finite = np.stack([np.isfinite(a.reshape(len(gaussians), -1)).all(axis=1) for a in arrays]).all(axis=0)
    if not finite.all():
        raise SplattingError(
            f"{int((~finite).sum())} of {len(gaussians)} Gaussians have a number that is not finite; "
            "leave them out"
        )


def used_degree(gaussians: GaussianMap) -> int:
    """Return the highest SH degree that has a coefficient other than zero, 0 if none has."""
    used = np.abs(gaussians.sh).max(axis=(0, 2), initial=0) > 0
    return math.isqrt(int(np.flatnonzero(used).max(initial=0)))


def _widened(gaussians: GaussianMap, rows: NDArray[np.intp], stands_for: NDArray[np.intp]) -> GaussianMap:
    """Return the Gaussians at ``rows``, each widened to the area of all it stands for.

    One that stands for itself alone stays as it is, however often the map is thinned.
    """
    area = np.exp(2 * gaussians.log_scales.astype(np.float64).max(axis=1))
    growth = 0.5 * np.log(np.bincount(stands_for, area) / area[rows])
    kept = gaussians.select(rows)
    return replace(kept, log_scales=kept.log_scales + growth[:, None].astype(np.float32))
