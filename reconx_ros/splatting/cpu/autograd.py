"""The CPU rasterizer as a function that autograd knows."""

import weakref
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting.cpu import passes, splats, workspace
from reconx_ros.splatting.cpu.compilation import kernel
from reconx_ros.splatting.cpu.passes import Floats, Pass
from reconx_ros.splatting.cpu.threads import KERNELS

LANES = 8
Image = tuple[Tensor, Tensor, Tensor]


@kernel()
def _first_of_slots(slots, first_slot, slot_count, out):
    for i in range(len(out)):
        for slot in range(first_slot[i], first_slot[i] + slot_count[i]):
            out[i] += slots[slot * splats.SLOT]


def _flat(tensor: Tensor) -> Floats:
    """Return a float32 tensor as a flat array, padded to eight Gaussians by ones that are never drawn."""
    tensor = tensor.detach().contiguous()
    if len(tensor) < LANES:
        padding = tensor.new_full((LANES - len(tensor), *tensor.shape[1:]), torch.nan)
        tensor = torch.cat([tensor, padding])
    array: Floats = tensor.numpy().reshape(-1)
    return array


def _forward(state: Pass) -> tuple[Image, NDArray[np.bool_]]:
    """Run the stages in a workspace of its own, which goes back when the pass is forgotten."""
    state.space = workspace.borrow()
    state.release = weakref.finalize(state, workspace.give_back, state.space)
    size = (state.camera.height, state.camera.width)
    image = torch.empty(*size, 3), torch.empty(size), torch.empty(size)
    visible = np.empty(state.count, np.bool_)
    passes.project_all(state)
    passes.build_lists(state, visible)
    passes.draw(state, *(tensor.numpy() for tensor in image))
    return image, visible


def _contribution(state: Pass, count: int) -> Tensor:
    """Return Σ over pixels of w_i: the gradient of the image's red by the Gaussians' red."""
    by_color = np.zeros((state.camera.height, state.camera.width, 3), np.float32)
    by_color[..., 0] = 1
    none = np.zeros(by_color.shape[:2], np.float32)
    slots = passes.draw_backward(state, by_color, none, none)
    out = np.zeros(state.count, np.float32)
    first, number = state.space.ints("first_slot", state.count), state.space.ints("slot_count", state.count)
    _first_of_slots(slots, first, number, out)
    return torch.from_numpy(out[:count])


class Rasterize(torch.autograd.Function):
    """Parameters to color, depth, alpha, visible and contribution (see ``rasterize``)."""

    @staticmethod
    def forward(
        ctx: Any, camera: Camera, background: Tensor, degree: int, compensate: bool, contribution: bool,
        *parameters: Tensor,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        """Draw the image."""
        state = Pass(
            [_flat(tensor) for tensor in parameters], camera, background.numpy(), degree, compensate
        )
        count = len(parameters[0])
        with KERNELS:
            image, visible = _forward(state)
            weight = _contribution(state, count) if contribution else None
        ctx.state = state
        ctx.save_for_backward(*parameters)
        outside = torch.from_numpy(visible[:count])
        ctx.mark_non_differentiable(outside, *([] if weight is None else [weight]))
        return *image, outside, weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the parameters; a second call draws the image again first."""
        state: Pass = ctx.state
        shapes = [tensor.shape for tensor in ctx.saved_tensors]  # raises if they were changed in between
        gradients = [np.empty_like(flat) for flat in state.inputs]
        by_image = [tensor.contiguous().numpy() for tensor in by_outputs[:3]]
        with KERNELS:
            if not state.release.alive:
                _forward(state)
            passes.project_all_backward(state, passes.draw_backward(state, *by_image), gradients)
            state.release()
        used = [
            torch.from_numpy(g).view(-1, *s[1:])[: s[0]] for g, s in zip(gradients, shapes, strict=True)
        ]
        return None, None, None, None, None, *used
