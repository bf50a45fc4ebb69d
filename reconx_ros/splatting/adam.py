"""Adam over the Gaussians: state grows with the map, and Gaussians out of sight stay as they are."""

from dataclasses import dataclass

import torch

from reconx_ros.splatting.parameters import GaussianParameters

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15


@dataclass(frozen=True)
class Rates:
    """The step of each parameter now, in its own unit."""

    means: float
    scales: float
    rotations: float
    opacities: float
    colours: float
    harmonics: float


class GaussianAdam:
    """Adam (Kingma and Ba 2015) with a step count per Gaussian.

    Only rows that were visible are updated: their moments do not decay while nobody looks at them,
    and Gaussians added later start with a fresh count.
    """

    def __init__(self, parameters: GaussianParameters) -> None:
        self._first = [torch.zeros_like(tensor) for tensor in _leaves(parameters)]
        self._second = [torch.zeros_like(tensor) for tensor in _leaves(parameters)]
        self._steps = torch.zeros_like(parameters.opacity_logits.detach())

    def rearrange(self, kept: torch.Tensor, added: int) -> None:
        """Keep the state of the rows ``kept`` (indices) and add ``added`` fresh rows behind."""

        def grown(tensor: torch.Tensor) -> torch.Tensor:
            return torch.cat([tensor[kept], tensor.new_zeros(added, *tensor.shape[1:])])

        self._first = [grown(tensor) for tensor in self._first]
        self._second = [grown(tensor) for tensor in self._second]
        self._steps = grown(self._steps)

    @torch.no_grad()
    def step(self, parameters: GaussianParameters, visible: torch.Tensor, rates: Rates) -> None:
        """Update the ``visible`` [N] rows by their gradients, then clear the gradients."""
        rows = visible.nonzero().flatten()
        self._steps[rows] += 1
        steps = self._steps[rows]
        correction1, correction2 = 1 - BETA1**steps, (1 - BETA2**steps).sqrt()
        for tensor, rate, first, second in zip(
            _leaves(parameters), _steps(parameters, rates), self._first, self._second, strict=True
        ):
            if tensor.grad is None:
                continue
            shape = (-1, *([1] * (tensor.dim() - 1)))
            gradient = tensor.grad[rows]
            m = first[rows].lerp_(gradient, 1 - BETA1)
            v = second[rows].lerp_(gradient * gradient, 1 - BETA2)
            first[rows], second[rows] = m, v
            scale = v.sqrt_() / correction2.view(shape) + EPSILON
            tensor[rows] -= rate * m / correction1.view(shape) / scale
            tensor.grad = None


def _leaves(parameters: GaussianParameters) -> tuple[torch.Tensor, ...]:
    return parameters.tensors()


def _steps(parameters: GaussianParameters, rates: Rates) -> list[float | torch.Tensor]:
    harmonics = torch.full((1, parameters.sh.shape[1], 1), rates.harmonics, device=parameters.sh.device)
    harmonics[:, 0] = rates.colours
    return [rates.means, rates.scales, rates.rotations, rates.opacities, harmonics]
