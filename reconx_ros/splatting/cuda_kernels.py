"""Kernels of other packages for CUDA, used where they are there and give what our plain torch gives.

- ``fused_ssim`` (Mallick et al. 2024, package fused-ssim): the map of SSIM and its gradient.
- gsplat's selective Adam (the same authors): moments and steps of the rows in view, in one pass.

Each is compared with the torch it replaces when it is first asked for, on the GPU at hand.
"""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

TOLERANCE = 1e-4
SsimMap = Callable[[Tensor, Tensor], Tensor]
AdamKernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, float, float, float, float], None]


@cache
def fused_ssim_map(plain: SsimMap) -> SsimMap | None:
    """Return the SSIM map [H, W, 3] of two images [H, W, 3] as a kernel, or None where there is none.

    Args:
        plain: the same in plain torch.
    """
    try:
        from fused_ssim import FusedSSIMMap  # noqa: PLC0415
    except ImportError:
        return None

    def fused(first: Tensor, second: Tensor) -> Tensor:
        planes = (image.permute(2, 0, 1)[None].contiguous() for image in (first, second))
        found: Tensor = FusedSSIMMap.apply(0.01**2, 0.03**2, *planes, "same", True)
        return found[0].permute(1, 2, 0)

    return fused if _does(lambda: _same_ssim(fused, plain)) else None


@cache
def adam_kernel() -> AdamKernel | None:
    """Return gsplat's kernel of a selective Adam step, or None where there is none."""
    try:
        from gsplat.cuda._wrapper import adam  # noqa: PLC0415
    except ImportError:
        return None
    return adam if _does(lambda: _steps_alike(adam)) else None


@torch.no_grad()
def kernel_step(
    kernel: AdamKernel,
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    step: Tensor,
    lr: Sequence[float],
    visible: Tensor,
    *,
    betas: tuple[float, float],
    eps: float,
) -> Tensor:
    """Do what ``adam.torch_step`` does with a kernel that knows no bias correction.

    The kernel moves zeros at rate one, by ``-m / (sqrt(v) + eps)``; each row of that is then multiplied by
    ``lr sqrt(1 - b2^t) / (1 - b1^t)`` with the steps t of its Gaussian.
    """
    rows = len(param)
    finite = torch.isfinite(grad.view(rows, -1)).all(dim=1)
    moved = torch.zeros_like(param.detach())
    kernel(moved, grad, m, v, visible & finite, 1.0, *betas, eps)
    count = step.double().clamp(min=1)[:, None]  # 1 - 0.999^t needs the digits
    factor = ((1 - betas[1] ** count).sqrt() / (1 - betas[0] ** count)).to(param.dtype)
    param.view(rows, -1).addcmul_(moved.view(rows, -1), factor * param.new_tensor(lr))
    return (visible & ~finite).sum()


def _does(agrees: Callable[[], bool]) -> bool:
    """Tell whether a kernel runs and agrees: one built for another GPU fails at its first call."""
    try:
        return torch.cuda.is_available() and agrees()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError, OSError):
        return False


def _same_ssim(fused: SsimMap, plain: SsimMap) -> bool:
    generator = torch.Generator("cuda").manual_seed(0)
    first, second = torch.rand(2, 20, 24, 3, device="cuda", generator=generator)
    found = []
    for ssim in (fused, plain):
        image = first.clone().requires_grad_()
        value = ssim(image, second)
        found += [value.detach(), torch.autograd.grad(value.square().sum(), image)[0]]
    return _close(found[:2], found[2:])


def _steps_alike(kernel: AdamKernel) -> bool:
    from reconx_ros.splatting.adam import BETAS, EPSILON, torch_step  # noqa: PLC0415

    generator = torch.Generator("cuda").manual_seed(0)
    start, grad = torch.randn(2, 50, 3, device="cuda", generator=generator)
    visible = torch.arange(50, device="cuda") % 3 > 0
    rate, results = [0.1, 0.2, 0.3], []
    for step in (torch_step, lambda *a, **k: kernel_step(kernel, *a, **k)):
        tensors = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
        for count in (1, 2):
            counts = torch.full((50,), count, dtype=torch.int32, device="cuda")
            step(tensors[0], grad * count, *tensors[1:], counts, rate, visible, betas=BETAS, eps=EPSILON)
        results.append(tensors)
    return _close(*results)


def _close(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.allclose(a, b, rtol=1e-3, atol=TOLERANCE) for a, b in pairs)
