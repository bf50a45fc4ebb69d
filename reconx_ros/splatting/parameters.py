"""The Gaussians as torch tensors, as they are optimised."""

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.splatting.gaussians import GaussianMap


@dataclass(eq=False)
class GaussianParameters:
    """N Gaussians, unactivated (see ``GaussianMap``), on one device and of one floating type.

    Attributes:
        means: [N, 3] in the world.
        log_scales: [N, 3].
        quaternions_wxyz: [N, 4], world from Gaussian axes, not necessarily unit.
        opacity_logits: [N].
        sh: [N, K, 3] with K = (degree + 1)^2.
    """

    means: Tensor
    log_scales: Tensor
    quaternions_wxyz: Tensor
    opacity_logits: Tensor
    sh: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """Return the highest degree the coefficients allow."""
        return math.isqrt(self.sh.shape[1]) - 1

    @classmethod
    def from_map(
        cls,
        gaussians: GaussianMap,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
    ) -> "GaussianParameters":
        """Copy a map into contiguous tensors, whatever the layout of its arrays."""

        def tensor(array: NDArray[np.float32]) -> Tensor:
            array = np.ascontiguousarray(array)
            return torch.tensor(array, dtype=dtype, device=device, requires_grad=requires_grad)

        return cls(**{field.name: tensor(getattr(gaussians, field.name)) for field in fields(cls)})

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the five tensors in the order of the attributes."""
        return self.means, self.log_scales, self.quaternions_wxyz, self.opacity_logits, self.sh

    def select(self, rows: Tensor) -> "GaussianParameters":
        """Return the Gaussians at ``rows`` (mask [N] or indices), connected to these by autograd."""
        return GaussianParameters(*(tensor[rows] for tensor in self.tensors()))

    def joined(self, other: "GaussianParameters") -> "GaussianParameters":
        """Return these Gaussians and the ``other`` ones behind them (same SH degree)."""
        return GaussianParameters(*map(torch.cat, zip(self.tensors(), other.tensors(), strict=True)))

    def leaves(self) -> "GaussianParameters":
        """Return the same numbers, cut off from what made them, to be optimised."""
        return GaussianParameters(*(tensor.detach().requires_grad_() for tensor in self.tensors()))

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return float32 copies under the names of the fields of ``GaussianMap``."""
        return {
            field.name: np.array(getattr(self, field.name).detach().cpu().numpy(), dtype=np.float32)
            for field in fields(self)
        }
