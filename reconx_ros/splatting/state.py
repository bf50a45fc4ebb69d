"""The Gaussians while they are optimised: parameters, Adam's memory, limits, provenance, the cap."""

import logging
from dataclasses import fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import SplattingError
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.blocks import Blocks
from reconx_ros.splatting.checks import check_gaussians
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import Floats, GaussianMap
from reconx_ros.splatting.growing import Growing
from reconx_ros.splatting.limits import limit_scales, scale_ceiling, scene_extent
from reconx_ros.splatting.motion import move_rows
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.thin import thin, widening

MAX_OPACITY_LOGIT = 12.0
LOGITS = 3
"""Place of the opacities among the tensors."""

EXTENT_SAMPLE = 20_000
"""Rows that the extent of a growing map is measured on, at least, where it has as many."""

_log = logging.getLogger(__name__)


class GaussianState:
    """Everything that has one row a Gaussian; finite and under the cap at any time.

    Attributes:
        parameters: the leaves that are optimised.
        evidence: what the confidence of each comes of, beside the views trained on now.
        provenance: [N] uint8.
        alive: [N] bool. Rows are removed by making them transparent, so that all others stay where they
            are; ``keep`` gives their memory back.
        extent: of the scene, in world units; of a map that grows from a sample of its rows.
        dropped: Gaussians the cap kept out so far.
        first_rows: the rows of the first map that the cap let in.
        adam: the moments of each.
        repaired: parameter rows, summed over steps, whose gradient was not finite and was dropped.
    """

    parameters: GaussianParameters
    extent: float
    evidence: Evidence
    provenance: NDArray[np.uint8]
    alive: NDArray[np.bool_]
    _columns: list[Growing]
    _blocks: Blocks | None

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
        ceiling = scale_ceiling(self.parameters.log_scales, config.limits, self.extent)
        self._ceiling = Growing(ceiling, config.max_gaussians)
        self.adam = GaussianAdam(self.parameters, config.max_gaussians)

    def __len__(self) -> int:
        """Return N, with what was removed and still has a row."""
        return len(self.parameters)

    @property
    def living(self) -> int:
        """Return how many Gaussians there are, without what was removed."""
        return int(np.count_nonzero(self.alive))

    @property
    def blocks(self) -> Blocks:
        """The Gaussians in blocks, to find those that a view may show."""
        if self._blocks is None:
            self._blocks = Blocks.of(*self._geometry())
        return self._blocks

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
        evidence = evidence or Evidence.of_points(gaussians.confidence)
        if self.living + len(gaussians) > self._config.max_gaussians:
            return self._thinned(gaussians, evidence)
        new, blocks = GaussianParameters.from_map(gaussians, self._device), self._blocks
        for column, tensor in zip(self._columns, new.tensors(), strict=True):
            column.append(tensor)
        self._show()
        self.evidence = self.evidence.joined(evidence)
        self.provenance = np.concatenate([self.provenance, gaussians.provenance])
        self.alive = np.concatenate([self.alive, np.ones(len(gaussians), np.bool_)])
        self.extent = self._sampled_extent()
        self._ceiling.append(scale_ceiling(new.log_scales, self._config.limits, self.extent))
        self.adam.append(len(gaussians))
        self._blocks = None if blocks is None else blocks.extended(*self._geometry())
        return np.arange(len(self))

    def remove(self, rows: NDArray[np.intp]) -> None:
        """Remove the Gaussians at ``rows``: they are transparent from now on; no row changes its place."""
        self.alive = self.alive.copy()
        self.alive[rows] = False
        logits = Growing(self.parameters.opacity_logits, self._config.max_gaussians)
        logits.rows[torch.from_numpy(rows).to(self._device)] = -MAX_OPACITY_LOGIT
        self._columns = [logits if place == LOGITS else c for place, c in enumerate(self._columns)]
        self.parameters.opacity_logits = logits.rows.detach().requires_grad_()

    def in_view(self, camera: Camera, far: float = np.inf) -> NDArray[np.intp]:
        """Return the rows, ascending, of what ``camera`` may show: all that it shows and some more.

        Args:
            camera: the view.
            far: depth beyond which what it shows is not asked for.
        """
        rows = self.blocks.rows(self.blocks.seen(camera, far))
        return rows[self.alive[rows]]

    def keep(self, rows: NDArray[np.intp]) -> None:
        """Drop all Gaussians but those at ``rows``, at least one, ascending, none of them removed."""
        kept = torch.from_numpy(rows).to(self._device)
        self._adopt(self.parameters.select(kept), self.evidence.select(rows), self.provenance[rows])
        self._ceiling = Growing(self._ceiling.rows[kept], self._config.max_gaussians)
        self.adam.rearrange(kept, 0)

    def to_cpu(self) -> None:
        """Bring all of it to the CPU; gradients are dropped."""
        self._device = torch.device("cpu")
        room = self._config.max_gaussians
        self._columns = [Growing(tensor.detach().cpu(), room) for tensor in self.parameters.tensors()]
        self._show()
        self._ceiling = Growing(self._ceiling.rows.cpu(), room)
        self.adam.to_cpu()

    def move(self, rows: NDArray[np.intp], motion: NDArray[np.float64]) -> None:
        """Move the Gaussians at ``rows`` by a rigid ``motion`` [4, 4]."""
        self._blocks = None
        move_rows(self.parameters, torch.from_numpy(rows).to(self._device), motion)

    @torch.no_grad()
    def step(self, visible: torch.Tensor, rates: Rates) -> None:
        """Move the ``visible`` [N] Gaussians by their gradients; gradients not finite are dropped."""
        self._blocks = None
        self.repaired += self.adam.step(self.parameters, visible, rates)

    def step_frame(self, frame: Frame, rates: Rates) -> None:
        """Do the same by the gradients that the image of ``frame`` has received."""
        self._blocks = None
        self.repaired += frame.step(self.adam, rates)

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring scales, opacities and quaternions back into their ranges."""
        parameters, self._blocks = self.parameters, None
        limit_scales(parameters.log_scales, self._ceiling.rows, self._config.limits, self.extent)
        parameters.opacity_logits.clamp_(-MAX_OPACITY_LOGIT, MAX_OPACITY_LOGIT)
        norm = parameters.quaternions_wxyz.norm(dim=1, keepdim=True).clamp(min=1e-6)
        parameters.quaternions_wxyz.div_(norm)

    def snapshot(self, confidence: Floats) -> GaussianMap:
        """Return a copy of the map with the given confidence [N], without what was removed."""
        alive = np.flatnonzero(self.alive)
        return replace(self.look(), confidence=confidence).select(alive)

    def look(self) -> GaussianMap:
        """Return the map with the confidence of its points; it is valid until the next step.

        On the CPU nothing is copied. What was removed is in it, transparent.
        """
        arrays = {f.name: _array(getattr(self.parameters, f.name)) for f in fields(GaussianParameters)}
        return GaussianMap(**arrays, confidence=self.evidence.point, provenance=self.provenance)

    def shapes(self, rows: NDArray[np.intp]) -> GaussianMap:
        """Return a copy of the Gaussians at ``rows``, their colours alike from everywhere (degree 0)."""
        parameters = replace(self.parameters, sh=self.parameters.sh[:, :1])
        chosen = parameters.select(torch.from_numpy(rows).to(self._device))
        arrays = {f.name: _array(getattr(chosen, f.name)) for f in fields(GaussianParameters)}
        confidence, provenance = self.evidence.point[rows], self.provenance[rows]
        return GaussianMap(**arrays, confidence=confidence, provenance=provenance)

    def _adopt(
        self, parameters: GaussianParameters, evidence: Evidence, provenance: NDArray[np.uint8]
    ) -> NDArray[np.intp]:
        """Be these Gaussians, thinned out where they are above the cap; return the rows kept."""
        count, means = len(parameters), _array(parameters.means)
        rows, stands_for = thin(means, evidence.point, self._config.max_gaussians)
        if len(rows) < count:
            cap = self._config.max_gaussians
            _log.warning("%d Gaussians are above the cap of %d: thinned out to %d", count, cap, len(rows))
            growth = widening(_array(parameters.log_scales), rows, stands_for)
            parameters = parameters.select(torch.from_numpy(rows).to(self._device))
            parameters.log_scales = parameters.log_scales + torch.from_numpy(growth).to(self._device)
            evidence, provenance, means = evidence.select(rows), provenance[rows], means[rows]
        self.dropped += count - len(rows)
        self._columns = [Growing(t, self._config.max_gaussians) for t in parameters.tensors()]
        self._show()
        self.evidence, self.provenance = evidence, provenance
        self.alive = np.ones(len(rows), np.bool_)
        self.extent = scene_extent(means)
        return rows

    def _thinned(self, new: GaussianMap, evidence: Evidence) -> NDArray[np.intp]:
        """Add Gaussians that do not fit under the cap; arguments and result as in ``add``."""
        before, living = len(self), np.flatnonzero(self.alive)
        there = torch.from_numpy(living).to(self._device)
        chosen = self._adopt(
            self.parameters.select(there).joined(GaussianParameters.from_map(new, self._device)),
            self.evidence.select(living).joined(evidence),
            np.concatenate([self.provenance[living], new.provenance]),
        )
        rows = np.concatenate([living, before + np.arange(len(new))])[chosen]
        old = rows[rows < before]
        kept, added = torch.from_numpy(old).to(self._device), len(rows) - len(old)
        fresh = scale_ceiling(self.parameters.log_scales[len(old) :], self._config.limits, self.extent)
        ceiling = torch.cat([self._ceiling.rows[kept], fresh])
        self._ceiling = Growing(ceiling, self._config.max_gaussians)
        self.adam.rearrange(kept, added)
        return rows

    def _show(self) -> None:
        """Let the columns be what is optimised."""
        self.parameters = GaussianParameters(*(column.rows for column in self._columns)).leaves()
        self._blocks = None

    def _geometry(self) -> tuple[Floats, Floats]:
        return _array(self.parameters.means), _array(self.parameters.log_scales)

    def _sampled_extent(self) -> float:
        """Return the extent of every so many rows: that of all, within a percent."""
        rows = np.arange(0, len(self), 1 + len(self) // EXTENT_SAMPLE)
        return scene_extent(_array(self.parameters.means)[rows[self.alive[rows]]])


def _array(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)
