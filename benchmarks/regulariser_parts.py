"""Regularisers that the optimiser does not have, as parts of it, for ``regularisers.py``."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import Image
from reconx_ros.progress import Progress
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.dropout import Thinned
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.loss import Target
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize
from reconx_ros.splatting.report import OptimisationReport
from reconx_ros.splatting.training_step import TrainingStep

EVERY = 50
ACTED: Counter[str] = Counter()
"""Gaussians that were relocated or added in the run under way."""


class Penalised(TrainingStep):
    """Steps with decoupled penalties on the Gaussians."""

    entropy = opacity = size = 0.0

    def take(self, view: int) -> None:
        """Take a step, then take the penalties off."""
        super().take(view)
        self._penalise()

    @torch.no_grad()
    def _penalise(self) -> None:
        parameters, rates = self._state.parameters, self._annealing.rates(self._state.extent)
        logits = parameters.opacity_logits
        share = logits.sigmoid()
        slope = share * (1 - share)
        logits += rates.opacities * slope * (self.entropy * logits - self.opacity)
        parameters.log_scales -= rates.scales * self.size


class Relocating(TrainingStep):
    """Steps that at times move what is transparent to where something is."""

    dead = 0.05

    def take(self, view: int) -> None:
        """Take a step, then move what is transparent if it is time to."""
        super().take(view)
        if self.total % EVERY == 0:
            self._relocate()

    @torch.no_grad()
    def _relocate(self) -> None:
        parameters = self._state.parameters
        opacity = parameters.opacity_logits.sigmoid()
        dead = (opacity < self.dead).nonzero().flatten()
        ACTED["gaussians"] += len(dead)
        if len(dead) == 0:
            return
        chosen = torch.multinomial(opacity, len(dead), generator=self.random)
        half = 1 - (1 - opacity[chosen]).sqrt()  # two of these are as opaque as one was
        for tensor in parameters.tensors():
            tensor[dead] = tensor[chosen]
        parameters.opacity_logits[dead] = parameters.opacity_logits[chosen] = half.logit()
        spread = opacity[chosen] / (2 * half - half.square() / 2**0.5)  # eq. 9 there, for two
        for rows in (dead, chosen):
            parameters.log_scales[rows] = parameters.log_scales[chosen] + spread.log()[:, None]
            for moments in (*self._state.adam.first, *self._state.adam.second):
                moments[rows] = 0


class Unpooling(GaussianOptimiser):
    """An optimiser that at times puts Gaussians between those that are far apart."""

    factor, tilt = 2.0, 1.0

    def run(
        self, steps: int | None = None, seconds: float | None = None, progress: Progress | None = None
    ) -> OptimisationReport:
        """Optimise in three parts, adding Gaussians between them; learning rates fall as without."""
        part = (steps or self.config.steps) // 3
        for _ in range(2):
            super().run(part, seconds, progress)
            new, clock = unpooled(self.look(), self.factor, self.tilt), self._annealing.clock
            ACTED["gaussians"] += len(new)
            self.add_gaussians(new)
            self._annealing.clock = clock
        return super().run(part, seconds, progress)


def unpooled(gaussians: GaussianMap, factor: float, tilt: float) -> GaussianMap:
    """Return new Gaussians half way to the three neighbours of those that are far from theirs.

    Shape and colour are the neighbour's.

    Args:
        gaussians: the map.
        factor: times the median of the mean distances to neighbours that are far.
        tilt: sine of the angle to the surface of either from which a neighbour belongs to another one.
    """
    distances, rows = cKDTree(gaussians.means).query(gaussians.means, 4)
    mean = distances[:, 1:].mean(axis=1)
    lonely = np.flatnonzero(mean > factor * np.median(mean))
    source, target = np.repeat(lonely, 3), rows[lonely, 1:].ravel()
    turns = Rotation.from_quat(np.roll(gaussians.quaternions_wxyz, -1, axis=1)).as_matrix()
    normals = turns[np.arange(len(turns)), :, gaussians.log_scales.argmin(axis=1)]
    edges = gaussians.means[target] - gaussians.means[source]
    lengths = np.linalg.norm(edges, axis=1)
    off = np.abs(np.einsum("dij,ij->di", normals[np.stack([source, target])], edges)).max(axis=0)
    flat = off <= tilt * lengths
    means = (gaussians.means[source] + gaussians.means[target])[flat] / 2
    return replace(gaussians.select(target[flat]), means=means)


class Levelled(TrainingStep):
    """Steps whose loss has the term for normals."""

    normals = 0.0

    def _loss(self, color: Tensor, depth: Tensor, alpha: Tensor, target: Target) -> Tensor:
        value = super()._loss(color, depth, alpha, target)
        return value if target.depth is None else value + self.normals * normal_term(depth, alpha, target)


def normal_term(depth: Tensor, alpha: Tensor, target: Target) -> Tensor:
    """Return the mean of |grad 1/D - grad 1/z| z over pixels on surfaces, weighted."""
    assert target.depth is not None
    known = (target.depth > 0) & (alpha > 0.5)
    true = torch.where(known, target.depth, 1)
    ratio = torch.where(known, true * alpha / torch.where(known, depth, 1), 1)  # z / D
    terms = []
    for axis in (0, 1):
        before, after = [
            [t.narrow(axis, start, t.shape[axis] - 1) for t in (true, ratio, known, target.weight)]
            for start in (0, 1)
        ]
        flat = before[2] & after[2] & ((after[0] / before[0] - 1).abs() < 0.05)
        slope = (after[1] / after[0] - before[1] / before[0]) - (1 / after[0] - 1 / before[0])
        terms.append((flat * torch.minimum(before[3], after[3]) * slope.abs() * before[0]).mean())
    return torch.stack(terms).sum()


def compensated(gaussians: GaussianMap, camera: Camera) -> tuple[Image, Image, Image]:
    """Draw a map as ``render_view`` does, with compensated opacities."""
    with torch.no_grad():
        rendered = rasterize(GaussianParameters.from_map(gaussians), camera, backend="cpu", compensate=True)
    return rendered.color.numpy(), rendered.depth.numpy(), rendered.alpha.numpy()


class Smooth(TrainingStep):
    """Steps from views with compensated opacities."""

    def _frame(self, view: int, degree: int, thinned: Thinned | None) -> Frame:
        camera = self._views.cameras[view]
        return Frame(self._state.parameters, camera, sh_degree=degree, compensate=True, thinned=thinned)


def stepping(kind: type[TrainingStep], **weights: float) -> dict[str, Any]:
    """Return the option of ``run`` for an optimiser that takes steps of a kind, with these weights."""
    step_class = type(kind.__name__, (kind,), weights)
    return {"optimiser_class": type("Optimiser", (GaussianOptimiser,), {"step_class": step_class})}


def unpooling(factor: float, tilt: float) -> dict[str, Any]:
    """Return the option of ``run`` for an optimiser that unpools with these settings."""
    return {"optimiser_class": type("Optimiser", (Unpooling,), {"factor": factor, "tilt": tilt})}


ADDED: dict[str, dict[str, Any]] = {
    **{f"entropy {w:g}": stepping(Penalised, entropy=w) for w in (0.03, 0.3)},
    "opacity 0.03": stepping(Penalised, opacity=0.03),
    "size 0.003": stepping(Penalised, size=0.003),
    **{f"normals {w:g}": stepping(Levelled, normals=w) for w in (0.5, 5)},
    **{f"relocation {d:g}": stepping(Relocating, dead=d) for d in (0.05, 0.2)},
    "unpooling": unpooling(2.0, 1.0),
    "unpooling on surfaces": unpooling(1.5, 0.3),
    "anti-aliasing": {**stepping(Smooth), "draw": compensated},
}
