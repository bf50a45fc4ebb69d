"""One optimisation step: draw a view, compare it, move what drew it."""

import math

import torch

from reconx_ros.errors import SplattingError
from reconx_ros.splatting.annealing import Annealing
from reconx_ros.splatting.camera_gradient import camera_gradient
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.dropout import Thinned, thinned, without_some
from reconx_ros.splatting.loss import LossWeights, Target, view_loss
from reconx_ros.splatting.outliers import AFTER, trusted
from reconx_ros.splatting.perceptual import Lpips
from reconx_ros.splatting.rasterize import Rendered, rasterize
from reconx_ros.splatting.refine import CameraRefinement
from reconx_ros.splatting.residence import Residence
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.training import TrainingSet

LIMIT_EVERY = 10  # steps; the limits are coarse and a step is small


class TrainingStep:
    """Takes steps on the views of a map.

    Attributes:
        total: steps taken so far.
        skipped: of these, steps whose loss was not finite.
        loss: running mean over the steps, ``None`` before the first.
        random: numbers for dropout.
        refinement: of the cameras.
    """

    def __init__(
        self,
        config: SplattingConfig,
        state: GaussianState,
        views: TrainingSet,
        annealing: Annealing,
        residence: Residence,
    ) -> None:
        """Raise ``SplattingError`` where cameras are to be fitted without the CPU rasterizer."""
        self.refinement = CameraRefinement(config.refine, state.extent)
        if self.refinement.wanted and not residence.fused:
            raise SplattingError(
                f"splatting.refine cannot fit cameras with rasterizer '{config.rasterizer}' on "
                f"'{residence.device.type}': set rasterizer to cpu, or refine.poses and .focal to false"
            )
        self._config, self._state, self._views = config, state, views
        self._annealing, self._residence = annealing, residence
        self._weights = LossWeights(
            config.ssim_weight, config.depth_weight, config.coverage_weight, config.gradient_weight
        )
        self._lpips = None if config.lpips is None else Lpips.load(config.lpips).to(residence.device)
        self.random = torch.Generator().manual_seed(config.seed)
        self.total = self.skipped = 0
        self.loss: float | None = None

    def to_cpu(self) -> None:
        """Bring what a step works with to the CPU."""
        if self._lpips is not None:
            self._lpips.cpu()

    def take(self, view: int) -> None:
        """Take a step on ``view``.

        Where GPU memory runs out, all moves to the CPU (``Residence``). What was drawn then is drawn again;
        a step that was being taken by then is not, for part of it has been.
        """
        camera = self._views.cameras[view]
        what = f"optimising {len(self._state)} Gaussians at {camera.width}x{camera.height}"
        drawn, exposure, value = self._residence.repeated(lambda: self._compared(view), what)
        if math.isfinite(value):
            self.loss = value if self.loss is None else 0.95 * self.loss + 0.05 * value
            self._residence.attempted(lambda: self._move(view, drawn, exposure), what)
        else:
            self.skipped += 1
        self.total += 1
        self._annealing.clock += 1

    def _compared(self, view: int) -> tuple[Rendered | Frame, torch.Tensor | None, float]:
        """Draw a view; return it, its exposure and the loss, whose gradients both have if it is finite."""
        drawn, target = self._draw(view), self._views.targets[view]
        exposure = self._views.exposures.leaf(view) if self._config.exposure else None
        color = drawn.color if exposure is None else drawn.color * exposure[0] + exposure[1]
        if self._config.outliers > 0 and self._annealing.share >= AFTER:
            target = trusted(color, target, self._config.outliers)
        loss = self._loss(color, drawn.depth, drawn.alpha, target)
        if self._lpips is not None:
            loss = loss + self._config.lpips_weight * self._lpips(color, target.image, target.weight)
        value = float(loss.detach())
        if math.isfinite(value) and loss.requires_grad:
            torch.autograd.backward(loss)
        return drawn, exposure, value

    def _draw(self, view: int) -> Rendered | Frame:
        parameters, rate = self._state.parameters, self._annealing.dropout
        degree, drops = self._degree(), self._config.dropout > 0
        if self._residence.fused:
            one = thinned(parameters.opacity_logits, rate, self.random) if drops else None
            return self._frame(view, degree, one)
        if drops:
            parameters = without_some(parameters, rate, self.random)
        camera, backend = self._views.cameras[view], self._residence.backend
        return rasterize(parameters, camera, sh_degree=degree, backend=backend)

    def _frame(self, view: int, degree: int, thinned: Thinned | None) -> Frame:
        return Frame(self._state.parameters, self._views.cameras[view], sh_degree=degree, thinned=thinned)

    def _loss(
        self, color: torch.Tensor, depth: torch.Tensor, alpha: torch.Tensor, target: Target
    ) -> torch.Tensor:
        return view_loss(color, depth, alpha, target, self._weights)

    def _move(self, view: int, drawn: Rendered | Frame, exposure: torch.Tensor | None) -> None:
        """Move exposure, camera and Gaussians by the gradients they have."""
        decay, rates = self._annealing.decay, self._annealing.rates(self._state.extent)
        if exposure is not None and exposure.grad is not None:
            self._views.exposures.step(view, exposure.grad, decay)
        if isinstance(drawn, Frame):
            self._fit_cameras(drawn, view, decay)
            self._state.step_frame(drawn, rates)
        else:
            self._state.step(drawn.visible, rates)
        if self.total % LIMIT_EVERY == 0:
            self._state.constrain()

    def _fit_cameras(self, frame: Frame, view: int, decay: float) -> None:
        """Move the camera of a real view by the gradient of its image, and all by its focal lengths'."""
        if self.refinement.wanted and self._views.is_observed(view):
            cameras = self._views.cameras
            gradient = camera_gradient(frame, self._state.parameters, cameras[view], self._degree())
            self.refinement.move(cameras, view, gradient, decay)

    def _degree(self) -> int:
        stored = self._state.parameters.sh_degree
        return self._annealing.degree(stored, self._views.observed_count)
