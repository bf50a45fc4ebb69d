"""Training views made ready: checked, weighted, on the device."""

from collections.abc import Sequence

import numpy as np
import torch

from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting import model
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.gradient_loss import Level, pyramid
from reconx_ros.splatting.cpu.loss import Workspace
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.loss import LEVELS, Target, confidence_weights
from reconx_ros.splatting.rasterize import check_camera
from reconx_ros.splatting.view import TrainingView


class TargetFactory:
    """Makes targets of views; views of one size share their working memory."""

    def __init__(self, config: SplattingConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._workspaces: dict[tuple[int, int], Workspace] = {}
        self._pyramids: dict[tuple[int, int], list[Level]] = {}

    def make(self, view: TrainingView) -> Target | None:
        """Return the target, or ``None`` for a view whose every pixel has weight zero.

        Pixels whose colour or confidence is not finite get weight zero, depths that are not finite
        and positive are unknown. Real views are weighted as ``config.confidence`` says, generated
        ones by their confidence itself.

        Raises:
            SplattingError: the arrays do not have the size of the camera, the camera cannot be rendered,
                or a confidence is negative.
        """
        check_view(view)
        weight = _weight(view, self._config)
        if not weight.any():
            return None
        image = _filled(view.image)
        depth = np.where(np.isfinite(view.depth) & (view.depth > 0), view.depth, np.nan).astype(np.float32)
        known = torch.from_numpy(depth) if np.isfinite(depth).any() else None
        return self._placed(torch.from_numpy(image), torch.from_numpy(weight), known)

    def to_cpu(self, targets: Sequence[Target]) -> list[Target]:
        """Return ``targets`` as made on the CPU, where further ones will be made too."""
        self._device = torch.device("cpu")
        return [self._placed(target.image, target.weight, target.depth) for target in targets]

    def _placed(self, image: torch.Tensor, weight: torch.Tensor, depth: torch.Tensor | None) -> Target:
        work, levels = self._memory(*weight.shape)
        return Target(
            image=image.to(self._device),
            weight=weight.to(self._device),
            depth=None if depth is None else depth.to(self._device),
            work=work,
            levels=levels,
        )

    def _memory(self, height: int, width: int) -> tuple[Workspace | None, list[Level] | None]:
        """Return what all views of a size work in, on the CPU."""
        if self._device.type != "cpu":
            return None, None
        size = height, width
        if size not in self._workspaces:
            self._workspaces[size] = Workspace(height, width)
            self._pyramids[size] = pyramid(height, width, LEVELS)
        wanted = self._config.gradient_weight > 0
        return self._workspaces[size], self._pyramids[size] if wanted else None


def check_view(view: TrainingView) -> None:
    """Make sure that the arrays of ``view`` are of its camera's size.

    Raises:
        SplattingError: they are not, the camera cannot be rendered, a confidence is negative, or most of
            the view is too near to be drawn.
    """
    size = (view.camera.height, view.camera.width)
    shapes = {"image": view.image.shape[:2], "confidence": view.confidence.shape, "depth": view.depth.shape}
    for name, shape in shapes.items():
        if shape != size:
            raise SplattingError(
                f"the {name} of a view is {'x'.join(map(str, shape[::-1]))} pixels, "
                f"its camera {size[1]}x{size[0]}"
            )
    if view.image.ndim != 3 or view.image.shape[2] != 3:
        raise SplattingError(f"the image of a view has shape {view.image.shape}; [H, W, 3] is needed")
    check_camera(view.camera)
    if (view.confidence < 0).any():
        raise SplattingError(f"a view has confidence {np.nanmin(view.confidence):g}; it must be 0 or more")
    known = view.depth[np.isfinite(view.depth)]
    if known.size and np.median(known) <= model.NEAR:
        raise SplattingError(
            f"half of what a view shows is {np.median(known):.2g} away or less, and nothing nearer than "
            f"{model.NEAR:g} is drawn: give poses (and depth) in smaller units"
        )


def _filled(image: Floats) -> Floats:
    """Give pixels that are not finite the mean colour: SSIM windows of their neighbours reach them."""
    finite = np.isfinite(image).all(axis=-1, keepdims=True)
    mean = image.mean(axis=(0, 1), where=finite)
    return np.ascontiguousarray(np.where(finite, image, mean), np.float32)


def _weight(view: TrainingView, config: SplattingConfig) -> Floats:
    finite = np.isfinite(view.image).all(axis=-1) & np.isfinite(view.confidence)
    confidence = np.where(finite, view.confidence, 0).astype(np.float32)
    if view.provenance == OBSERVED:
        return confidence_weights(confidence, config.confidence)
    return confidence
