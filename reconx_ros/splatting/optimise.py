"""The Gaussian optimiser: step 4 of the paper, and the same while the map still grows."""

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.progress import Progress, Silent
from reconx_ros.splatting.adam import Rates
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.camera_gradient import camera_gradient
from reconx_ros.splatting.confidence import map_confidences
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.device import choose_device
from reconx_ros.splatting.dropout import thinned, without_some
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.loss import LossWeights, view_loss
from reconx_ros.splatting.perceptual import Lpips
from reconx_ros.splatting.prune import Pruned, degenerate
from reconx_ros.splatting.rasterize import Rendered, rasterize
from reconx_ros.splatting.refine import CameraRefinement, refined
from reconx_ros.splatting.report import OptimisationReport, Stop
from reconx_ros.splatting.state import GaussianState, used_degree
from reconx_ros.splatting.training import TrainingSet
from reconx_ros.splatting.view import TrainingView

STAGE = "splatting"
TELL_EVERY = 10  # steps
LIMIT_EVERY = 10  # steps; the limits are coarse and a step is small
FEW_VIEWS = 2  # real views that do not tell how colours change between and beyond them
EVIDENCE_VIEWS = 8  # views a snapshot of a growing map looks at again for its confidence


class GaussianOptimiser:
    """Gaussians under optimisation: views and Gaussians come in, steps run, snapshots go out.

    Between any two steps the map is finite, within its shape limits and under the cap.

    Attributes:
        config: the settings.
        pruned: degenerate Gaussians removed so far.
    """

    def __init__(self, gaussians: GaussianMap, config: SplattingConfig, device: str = "auto") -> None:
        """Start from ``gaussians``; more than ``config.max_gaussians`` are thinned out.

        Args:
            gaussians: N >= 1 finite Gaussians.
            config: the settings.
            device: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            SplattingError: no Gaussians, some that are not finite, no such device, or no weights of
                LPIPS where they are asked for.
        """
        self.config = config
        chosen = choose_device(device)
        self._fused = chosen.type == "cpu" and config.rasterizer in ("auto", "cpu")
        self._state = GaussianState(gaussians, config, chosen)
        self._views = TrainingSet(config, chosen)
        self._refinement = CameraRefinement(config.refine, self._state.extent)
        self._weights = LossWeights(
            config.ssim_weight, config.depth_weight, config.coverage_weight, config.gradient_weight
        )
        self._lpips = None if config.lpips is None else Lpips.load(config.lpips).to(chosen)
        self._random = torch.Generator().manual_seed(config.seed)
        self._first_degree = used_degree(gaussians)
        self._total = self._skipped = 0
        self.pruned = Pruned()
        self._clock = 0.0  # steps done, set back when the map grows
        self._loss: float | None = None

    def add_views(self, views: Sequence[TrainingView]) -> None:
        """Add views to train on; new ones are drawn more often at first.

        Raises:
            SplattingError: a view is not of its camera's size; none of ``views`` is added then.
        """
        self._views.add(views)

    def add_gaussians(self, gaussians: GaussianMap) -> NDArray[np.intp]:
        """Add Gaussians; where the cap is exceeded, old and new are thinned out alike.

        The schedule of the learning rates is set back in proportion to what is new.

        Returns:
            The rows kept of the map followed by ``gaussians``, ascending: the map's rows from now on.

        Raises:
            SplattingError: numbers that are not finite, or another SH degree; nothing is added then.
        """
        before = len(self._state)
        if len(gaussians) == 0:
            return np.arange(before)
        rows = self._state.add(gaussians)
        self._clock *= before / (before + len(gaussians))
        self._views.rearrange(rows[rows < before], len(self._state))
        return rows

    def prune(self) -> NDArray[np.intp]:
        """Remove degenerate Gaussians (``prune.py``), but never all of them.

        Returns:
            The rows kept, ascending: the map's rows from now on.
        """
        gaussians = self._state.snapshot(self._state.point_confidence)
        views = self._views.measured()
        gone, counts = degenerate(gaussians, views, self.config.limits, self._state.extent)
        rows = np.arange(len(gaussians))
        if gone.any() and not gone.all():
            rows = np.flatnonzero(~gone)
            self.pruned += counts
            self.keep_gaussians(rows)
        return rows

    def keep_gaussians(self, rows: NDArray[np.intp]) -> None:
        """Drop all Gaussians but those at ``rows``, at least one, in this order."""
        self._state.keep(rows)
        self._views.rearrange(rows, len(rows))

    def keep_views(self, views: list[int]) -> None:
        """Stop training on all views but these; they are numbered anew in this order."""
        self._views.keep(views)
        self._refinement.keep(views)

    def move(self, rows: NDArray[np.intp], views: list[int], motion: NDArray[np.float64]) -> None:
        """Move the Gaussians at ``rows`` and the cameras of ``views`` by a rigid ``motion`` [4, 4]."""
        self._state.move(rows, motion)
        for view in views:
            camera = self._views.cameras[view]
            self._views.cameras[view] = camera.moved(motion @ camera.world_from_camera)

    @property
    def first_rows(self) -> NDArray[np.intp]:
        """The rows of the map it started from that the cap let in, ascending."""
        return self._state.first_rows

    @property
    def view_count(self) -> int:
        """Views trained on; a view without any weight is none."""
        return len(self._views)

    def run(
        self, steps: int | None = None, seconds: float | None = None, progress: Progress | None = None
    ) -> OptimisationReport:
        """Optimise until ``steps`` are done, ``seconds`` are over or ``progress`` is cancelled.

        With neither, ``config.steps`` are done; with ``seconds`` alone, as many as fit.
        """
        progress, began, done = progress or Silent(), time.monotonic(), 0
        wanted = self.config.steps if steps is None and seconds is None else steps
        stop: Stop | None = None
        while stop is None:
            elapsed = time.monotonic() - began
            stop = self._stop(done, wanted, elapsed, seconds, progress)
            if stop is None:
                self._step()
                done += 1
                if done % TELL_EVERY == 0 or done == wanted:
                    _tell(progress, done, wanted, self._loss)
        if done:
            self._state.constrain()
        return self._report(done, time.monotonic() - began, stop)

    def gaussians(self, evidence_views: int | None = EVIDENCE_VIEWS) -> GaussianMap:
        """Return the map as it is now.

        Args:
            evidence_views: most views that are rendered again to bring confidence up to date, those
                longest unseen first; ``None`` for all.
        """
        confidence = self._state.point_confidence
        if len(self._views):
            evidence = self._views.evidence(self._state.parameters, evidence_views)
            confidence = map_confidences(confidence, evidence, self._state.provenance == GENERATED)
        return self._state.snapshot(confidence)

    def appearance(self, views: Sequence[int] | None = None) -> Appearance:
        """Return the exposures fitted to the observed ones of ``views`` (``None``: all).

        Renders of other views are developed with them.
        """
        return self._views.appearance(views)

    def _stop(
        self, done: int, wanted: int | None, elapsed: float, seconds: float | None, progress: Progress
    ) -> Stop | None:
        if wanted is not None and done >= wanted:
            return "finished"
        if not len(self._views):
            return "no views"
        if progress.cancelled():
            return "cancelled"
        return "deadline" if seconds is not None and elapsed >= seconds else None

    def _step(self) -> None:
        view = self._views.schedule.draw()
        rendered = self._render(self._views.cameras[view])
        exposure = self._views.exposures.leaf(view) if self.config.exposure else None
        color = rendered.color if exposure is None else rendered.color * exposure[0] + exposure[1]
        target = self._views.targets[view]
        loss = view_loss(color, rendered.depth, rendered.alpha, target, self._weights)
        if self._lpips is not None:
            distance = self._lpips(color, target.image, target.weight)
            loss = loss + self.config.lpips_weight * distance
        if math.isfinite(value := float(loss.detach())):
            self._loss = value if self._loss is None else 0.95 * self._loss + 0.05 * value
            if loss.requires_grad:
                torch.autograd.backward(loss)
            if exposure is not None and exposure.grad is not None:
                self._views.exposures.step(view, exposure.grad, self._decay())
            if isinstance(rendered, Frame):
                self._refine(rendered, view)
                self._state.step_frame(rendered, self._rates())
            else:
                self._state.step(rendered.visible, self._rates())
            if self._total % LIMIT_EVERY == 0:
                self._state.constrain()
        else:
            self._skipped += 1
        self._total += 1
        self._clock += 1

    def _render(self, camera: Camera) -> Rendered | Frame:
        parameters = self._state.parameters
        degree = self._degree()
        rate = self.config.dropout * self._share()
        if self._fused:
            logits = parameters.opacity_logits
            drawn = thinned(logits, rate, self._random) if self.config.dropout > 0 else None
            return Frame(parameters, camera, sh_degree=degree, thinned=drawn)
        if self.config.dropout > 0:
            parameters = without_some(parameters, rate, self._random)
        return rasterize(parameters, camera, sh_degree=degree, backend=self.config.rasterizer)

    def _degree(self) -> int:
        """Return the highest SH degree that is let in now."""
        stored = self._state.parameters.sh_degree
        degree = min(self._first_degree + int(self._clock) // self.config.sh_interval, stored)
        if self._views.observed_count <= FEW_VIEWS:
            degree = min(degree, max(self._first_degree, self.config.sh_degree_few))
        return degree

    def _refine(self, frame: Frame, view: int) -> None:
        """Move the camera of a real view by the gradient of its image, and all by its focal lengths'."""
        wanted = self.config.refine.poses or self.config.refine.focal
        if not wanted or not self._views.is_observed(view):
            return
        cameras = self._views.cameras
        gradient = camera_gradient(frame, self._state.parameters, cameras[view], self._degree())
        move = self._refinement.step(view, gradient, self._decay())
        cameras[view] = refined(cameras[view], move)
        if self.config.refine.focal:
            move[:6] = 0
            others = [other for other in range(len(cameras)) if other != view]
            for other in others:
                cameras[other] = refined(cameras[other], move)

    def _rates(self) -> Rates:
        rates, decay = self.config.rates, self._decay()
        return Rates(
            means=rates.means * self._state.extent * decay,
            scales=rates.scales * decay,
            rotations=rates.rotations * decay,
            opacities=rates.opacities * decay,
            colours=rates.colours * decay,
            harmonics=rates.harmonics * decay,
        )

    def _decay(self) -> float:
        """Return the share of the rates now: falls exponentially to ``rates.final``."""
        return math.exp(math.log(self.config.rates.final) * self._share())

    def _share(self) -> float:
        """Return how much of the schedule is over, in [0, 1]."""
        return min(self._clock / max(self.config.steps, 1), 1.0)

    def _report(self, steps: int, seconds: float, stopped: Stop) -> OptimisationReport:
        return OptimisationReport(
            steps=steps,
            total_steps=self._total,
            seconds=seconds,
            loss=self._loss,
            gaussians=len(self._state),
            views=len(self._views),
            ignored_views=self._views.ignored,
            skipped_steps=self._skipped,
            repaired_gradients=self._state.repaired,
            dropped_gaussians=self._state.dropped,
            stopped=stopped,
        )


def _tell(progress: Progress, done: int, wanted: int | None, loss: float | None) -> None:
    note = "" if loss is None else f"loss {loss:.4f}"
    progress.update(STAGE, done, done if wanted is None else wanted, note)
