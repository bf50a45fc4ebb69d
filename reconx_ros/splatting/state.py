"""The Gaussians while they are optimised: parameters, Adam's memory, limits, provenance, the cap."""

import logging
import math
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.initialise import thin
from reconx_ros.splatting.limits import limit_scales, scale_ceiling, scene_extent
from reconx_ros.splatting.motion import move_rows
from reconx_ros.splatting.parameters import GaussianParameters

MAX_OPACITY_LOGIT = 12.0
_log = logging.getLogger(__name__)


class GaussianState:
    """Everything that has one row a Gaussian; finite and under the cap at any time.

    Attributes:
        parameters: the leaves that are optimised.
        evidence: what the confidence of each comes of, beside the views trained on now.
        provenance: [N] uint8.
        extent: of the scene, in world units.
        dropped: Gaussians the cap kept out so far.
        first_rows: the rows of the first map that the cap let in.
        adam: the moments of each.
        repaired: parameter rows, summed over steps, whose gradient was not finite and was dropped.
    """

    parameters: GaussianParameters
    extent: float

    def __init__(
        self,
        gaussians: GaussianMap,
        config: SplattingConfig,
        device: torch.device,
        evidence: Evidence | None = None,
    ) -> None:
        check_gaussians(gaussians)
        self._config, self._device = config, device
        self.dropped = self.repaired = 0
        evidence = evidence or Evidence.of_points(gaussians.confidence)
        parameters = GaussianParameters.from_map(gaussians, device)
        self.first_rows = self._adopt(parameters, evidence, gaussians.provenance)
        self._ceiling = scale_ceiling(self.parameters.log_scales, config.limits, self.extent)
        self.adam = GaussianAdam(self.parameters)

    def __len__(self) -> int:
        """Return N."""
        return len(self.parameters)

    def add(self, gaussians: GaussianMap, evidence: Evidence | None = None) -> NDArray[np.intp]:
        """Add Gaussians; where the cap is exceeded, old and new are thinned out alike.

        Args:
            gaussians: to add.
            evidence: of them; they are new, with the confidence of their points, where ``None``.

        Returns:
            The rows kept of the old map followed by the new one, ascending: the map's rows from now on.

        Raises:
            SplattingError: numbers that are not finite, or another SH degree; nothing is added then.
        """
        check_gaussians(gaussians)
        if gaussians.sh_degree != self.parameters.sh_degree:
            raise SplattingError(
                f"Gaussians of SH degree {gaussians.sh_degree} cannot join a map of "
                f"degree {self.parameters.sh_degree}"
            )
        before = len(self)
        new = GaussianParameters.from_map(gaussians, self._device)
        rows = self._adopt(
            self.parameters.joined(new),
            self.evidence.joined(evidence or Evidence.of_points(gaussians.confidence)),
            np.concatenate([self.provenance, gaussians.provenance]),
        )
        old = rows[rows < before]
        kept, added = torch.from_numpy(old).to(self._device), len(rows) - len(old)
        fresh = scale_ceiling(self.parameters.log_scales[len(old) :], self._config.limits, self.extent)
        self._ceiling = torch.cat([self._ceiling[kept], fresh])
        self.adam.rearrange(kept, added)
        return rows

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Drop all Gaussians but those at ``rows``, at least one, ascending."""
        kept = torch.from_numpy(rows).to(self._device)
        self._adopt(self.parameters.select(kept), self.evidence.select(rows), self.provenance[rows])
        self._ceiling = self._ceiling[kept]
        self.adam.rearrange(kept, 0)

    def to_cpu(self) -> None:
        """Bring all of it to the CPU; gradients are dropped."""
        self._device = torch.device("cpu")
        self.parameters = GaussianParameters(
            *(tensor.detach().cpu().requires_grad_() for tensor in self.parameters.tensors())
        )
        self._ceiling = self._ceiling.cpu()
        self.adam.to_cpu()

    def move(self, rows: NDArray[np.intp], motion: NDArray[np.float64]) -> None:
        """Move the Gaussians at ``rows`` by a rigid ``motion`` [4, 4]."""
        move_rows(self.parameters, torch.from_numpy(rows).to(self._device), motion)

    @torch.no_grad()
    def step(self, visible: torch.Tensor, rates: Rates) -> None:
        """Move the ``visible`` [N] Gaussians by their gradients; gradients not finite are dropped."""
        self.repaired += self.adam.step(self.parameters, visible, rates)

    def step_frame(self, frame: Frame, rates: Rates) -> None:
        """Do the same by the gradients that the image of ``frame`` has received."""
        self.repaired += frame.step(self.adam, rates)

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

    def look(self) -> GaussianMap:
        """Return the map with the confidence of its points; it is valid until the next step.

        On the CPU nothing is copied.
        """
        arrays = {f.name: _array(getattr(self.parameters, f.name)) for f in fields(GaussianParameters)}
        return GaussianMap(**arrays, confidence=self.evidence.point, provenance=self.provenance)

    def _adopt(
        self, parameters: GaussianParameters, evidence: Evidence, provenance: NDArray[np.uint8]
    ) -> NDArray[np.intp]:
        """Be these Gaussians, thinned out where they are above the cap; return the rows kept."""
        count, means = len(parameters), _array(parameters.means)
        rows, stands_for = thin(means, evidence.point, self._config.max_gaussians)
        if len(rows) < count:
            cap = self._config.max_gaussians
            _log.warning("%d Gaussians are above the cap of %d: thinned out to %d", count, cap, len(rows))
            growth = _widening(_array(parameters.log_scales), rows, stands_for)
            parameters = parameters.select(torch.from_numpy(rows).to(self._device))
            parameters.log_scales = parameters.log_scales + torch.from_numpy(growth).to(self._device)
            evidence, provenance, means = evidence.select(rows), provenance[rows], means[rows]
        self.dropped += count - len(rows)
        self.parameters, self.evidence, self.provenance = parameters.leaves(), evidence, provenance
        self.extent = scene_extent(means)
        return rows


def _array(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)


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


def _widening(log_scales: Floats, rows: NDArray[np.intp], stands_for: NDArray[np.intp]) -> Floats:
    """Return what to add to the log scales of ``rows``, [M, 1]: each gets the area of all it stands for.

    One that stands for itself alone stays as it is, however often the map is thinned.
    """
    area = np.exp(2 * log_scales.astype(np.float64).max(axis=1))
    growth = 0.5 * np.log(np.bincount(stands_for, area) / area[rows])
    return np.asarray(growth[:, None], np.float32)
