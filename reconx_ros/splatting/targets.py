"""Training views made ready: checked, weighted, on the device."""

import numpy as np
import torch

from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.cpu.gradient_loss import pyramid
from reconx_ros.splatting.cpu.loss import Workspace, target_statistics
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.loss import LEVELS, Target, confidence_weights
from reconx_ros.splatting.view import TrainingView


class TargetFactory:
    """Makes targets of views; views of one size share their working memory."""

    def __init__(self, config: SplattingConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._workspaces: dict[tuple[int, int], Workspace] = {}

    def make(self, view: TrainingView) -> Target | None:
        """Return the target, or ``None`` for a view whose every pixel has weight zero.

        Pixels whose colour or confidence is not finite get weight zero, depths that are not finite
        and positive are unknown. Real views are weighted as ``config.confidence`` says, generated
        ones by their confidence itself.

        Raises:
            SplattingError: the arrays do not have the size of the camera, or a confidence is negative.
        """
        check_view(view)
        weight = _weight(view, self._config)
        if not weight.any():
            return None
        image = _filled(view.image)
        depth = np.where(np.isfinite(view.depth) & (view.depth > 0), view.depth, np.nan).astype(np.float32)
        cpu = self._device.type == "cpu"
        return Target(
            image=torch.from_numpy(image).to(self._device),
            weight=torch.from_numpy(weight).to(self._device),
            depth=torch.from_numpy(depth).to(self._device) if np.isfinite(depth).any() else None,
            statistics=target_statistics(image, weight) if cpu else None,
            work=self._workspace(weight) if cpu else None,
            levels=pyramid(weight, LEVELS) if cpu and self._config.gradient_weight > 0 else None,
        )

    def _workspace(self, weight: Floats) -> Workspace:
        height, width = weight.shape
        return self._workspaces.setdefault((height, width), Workspace(height, width))


def check_view(view: TrainingView) -> None:
    """Make sure that the arrays of ``view`` are of its camera's size.

    Raises:
        SplattingError: they are not, or a confidence is negative.
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
    if (view.confidence < 0).any():
        raise SplattingError(f"a view has confidence {np.nanmin(view.confidence):g}; it must be 0 or more")


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
