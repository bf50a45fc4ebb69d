"""What the references show along a path, each reference apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reconx_ros.structure.exposure import Exposure


@dataclass(frozen=True, eq=False)
class ConditioningRender:
    """Warps of R references (images, or a point cloud) into F cameras of each of B clips.

    The references are kept apart: whoever fuses them can choose a source pixel by pixel, and the
    exposures of two keyframes never interleave. All tensors are float32 on one device.

    Attributes:
        color: [B, F, R, 3, H, W] RGB in [0, 1], 0 where neither covered nor guessed.
        coverage: [B, F, R, 1, H, W], 1 where the reference shows the pixel, else 0.
        depth: [B, F, R, 1, H, W] along the target's optical axis in world units, 0 like colour.
        confidence: [B, F, R, 1, H, W] in [0, 1], 0 like colour (``warp.py`` says of what).
        guessed: [B, F, R, 1, H, W], 1 where not covered and the reference would show the pixel if its
            unmeasured depth were as guessed from its surroundings, else 0.
        margin: rows and columns on each side that lie outside the camera's own image (overscan).
        exposure: what was applied to ``color``; ``None`` where the colours are as they were taken.
    """

    color: Tensor
    coverage: Tensor
    depth: Tensor
    confidence: Tensor
    guessed: Tensor
    margin: tuple[int, int] = (0, 0)
    exposure: Exposure | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, margins included."""
        return int(self.color.shape[-2]), int(self.color.shape[-1])

    @property
    def shown(self) -> Tensor:
        """[B, F, R, 1, H, W], 1 where covered or guessed."""
        return self.coverage + self.guessed

    def measured(self) -> "ConditioningRender":
        """Return the render without what was guessed."""
        return replace(
            self,
            color=self.color * self.coverage,
            depth=self.depth * self.coverage,
            confidence=self.confidence * self.coverage,
            guessed=torch.zeros_like(self.guessed),
        )

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "ConditioningRender":
        """Return the render with ``change`` applied to each of its five images."""
        return replace(
            self,
            color=change(self.color),
            coverage=change(self.coverage),
            depth=change(self.depth),
            confidence=change(self.confidence),
            guessed=change(self.guessed),
        )

    def cropped(self) -> "ConditioningRender":
        """Return the render without its margins."""
        return replace(self.mapped(self.crop), margin=(0, 0))

    def crop(self, image: Tensor) -> Tensor:
        """Cut the margins off any [..., H, W] tensor of the render's size."""
        rows, columns = self.margin
        height, width = self.size
        return image[..., rows : height - rows, columns : width - columns]

    def exposed(self, exposure: Exposure) -> "ConditioningRender":
        """Return the render with ``exposure`` applied to its colours."""
        return replace(self, color=exposure.apply(self.color) * self.shown, exposure=exposure)

    def unexposed(self) -> "ConditioningRender":
        """Return the render with the colours as the references were taken."""
        if self.exposure is None:
            return self
        return replace(self, color=self.exposure.undo(self.color) * self.shown, exposure=None)


def join(renders: Sequence[ConditioningRender]) -> ConditioningRender:
    """Put the references of several renders of the same cameras side by side (colours as taken)."""
    plain = [render.unexposed() for render in renders]
    return ConditioningRender(
        torch.cat([render.color for render in plain], dim=2),
        torch.cat([render.coverage for render in plain], dim=2),
        torch.cat([render.depth for render in plain], dim=2),
        torch.cat([render.confidence for render in plain], dim=2),
        torch.cat([render.guessed for render in plain], dim=2),
        plain[0].margin,
    )
