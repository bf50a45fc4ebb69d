"""Adam over the Gaussians: state grows with the map, and Gaussians out of sight stay as they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from reconx_ros.splatting.cpu.adam import adam_step
from reconx_ros.splatting.cuda_kernels import adam_kernel, kernel_step
from reconx_ros.splatting.growing import Growing
from reconx_ros.splatting.parameters import GaussianParameters

BETAS, EPSILON = (0.9, 0.999), 1e-15


@dataclass(frozen=True)
class Rates:
    """The step of each parameter now, in its own unit."""

    means: float
    scales: float
    rotations: float
    opacities: float
    colours: float
    harmonics: float

    def per_number(self, sh_rows: int) -> tuple[list[float], ...]:
        """Return the rate of each number of a row of means, scales, rotations, opacity and SH."""
        sh = [self.colours] * 3 + [self.harmonics] * 3 * (sh_rows - 1)
        return [self.means] * 3, [self.scales] * 3, [self.rotations] * 4, [self.opacities], sh


class GaussianAdam:
    """Adam (Kingma and Ba 2015) with a step count per Gaussian.

    Only rows that were visible are updated: their moments do not decay while nobody looks at them,
    and Gaussians added later start with a fresh count.
    """

    def __init__(self, parameters: GaussianParameters, room: int = 0) -> None:
        """Begin with moments of zero; there is room for ``room`` Gaussians (``Growing``)."""
        self._room = room
        tensors = [tensor.detach() for tensor in parameters.tensors()]
        self._first = [Growing(torch.zeros_like(tensor), room) for tensor in tensors]
        self._second = [Growing(torch.zeros_like(tensor), room) for tensor in tensors]
        counts = torch.zeros(len(parameters), dtype=torch.int32, device=parameters.means.device)
        self._counts = Growing(counts, room)

    @property
    def first(self) -> list[torch.Tensor]:
        """The first moment of each of the five parameters."""
        return [column.rows for column in self._first]

    @property
    def second(self) -> list[torch.Tensor]:
        """The second moment of each."""
        return [column.rows for column in self._second]

    @property
    def counts(self) -> torch.Tensor:
        """[N] int32, the steps of each Gaussian."""
        return self._counts.rows

    def to_cpu(self) -> None:
        """Bring all of it to the CPU."""
        self._replace(lambda rows: rows.cpu())

    def append(self, added: int) -> None:
        """Add ``added`` fresh rows behind the others."""
        for column in (*self._first, *self._second, self._counts):
            column.append(column.rows.new_zeros(added, *column.rows.shape[1:]))

    def rearrange(self, kept: torch.Tensor, added: int) -> None:
        """Keep the state of the rows ``kept`` (ascending) and add ``added`` fresh rows behind."""
        if len(kept) < len(self.counts):
            self._replace(lambda rows: rows[kept])
        self.append(added)

    def _replace(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._first = [Growing(change(rows), self._room) for rows in self.first]
        self._second = [Growing(change(rows), self._room) for rows in self.second]
        self._counts = Growing(change(self.counts), self._room)

    @torch.no_grad()
    def step(self, parameters: GaussianParameters, visible: torch.Tensor, rates: Rates) -> int:
        """Update the ``visible`` [N] rows by their gradients, then clear the gradients.

        Returns:
            Rows of the five tensors that were left as they are for a gradient that is not finite.
        """
        self.counts.add_(visible)
        update = _update(parameters.means.device)
        dropped: int | torch.Tensor = 0
        for tensor, rate, first, second in zip(
            parameters.tensors(),
            rates.per_number(parameters.sh.shape[1]),
            self.first,
            self.second,
            strict=True,
        ):
            if tensor.grad is not None:
                gradient = tensor.grad.contiguous()
                dropped += update(
                    tensor, gradient, first, second, self.counts, rate, visible, betas=BETAS, eps=EPSILON
                )
                tensor.grad = None
        return int(dropped)


def _update(device: torch.device) -> Callable[..., int | torch.Tensor]:
    """Return the fastest step of a parameter there is on a device."""
    if device.type == "cpu":
        return adam_step
    kernel = adam_kernel()
    return torch_step if kernel is None else partial(kernel_step, kernel)


def torch_step(
    param: torch.Tensor,
    grad: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    step: torch.Tensor,
    lr: Sequence[float],
    visible: torch.Tensor,
    *,
    betas: tuple[float, float],
    eps: float,
) -> torch.Tensor:
    """Do what ``adam_step`` does, in torch on any device; the count comes as a tensor there."""
    rows = len(param)
    grad = grad.view(rows, -1)
    finite = torch.isfinite(grad).all(dim=1)
    used = (visible & finite)[:, None]
    count = step.double().clamp(min=1)[:, None]  # 1 - 0.999^t needs the digits
    bias1, bias2 = ((1 - beta**count).to(param.dtype) for beta in betas)
    first = torch.where(used, torch.lerp(m.view(rows, -1), grad, 1 - betas[0]), m.view(rows, -1))
    second = torch.where(used, torch.lerp(v.view(rows, -1), grad * grad, 1 - betas[1]), v.view(rows, -1))
    scale = (second / bias2).sqrt() + eps
    move = param.new_tensor(lr) * first / bias1 / scale
    param.view(rows, -1).sub_(torch.where(used, move, 0))
    m.view(rows, -1).copy_(first)
    v.view(rows, -1).copy_(second)
    return (visible & ~finite).sum()
