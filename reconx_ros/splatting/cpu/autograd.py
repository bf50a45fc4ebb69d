"""The CPU rasterizer as a function that autograd knows."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting.cpu import passes, splats, workspace
from reconx_ros.splatting.cpu.compilation import kernel
from reconx_ros.splatting.cpu.passes import Floats, Image, Pass
from reconx_ros.splatting.cpu.threads import KERNELS

LANES = 8


@kernel()
def _first_of_slots(slots, first_slot, slot_count, out):
    for i in range(len(out)):
        for slot in range(first_slot[i], first_slot[i] + slot_count[i]):
            out[i] += slots[slot * splats.SLOT]


def flat(tensor: Tensor) -> Floats:
    """Return a float32 tensor as a flat array, padded to eight Gaussians by ones that are never drawn."""
    tensor = tensor.detach().contiguous()
    if len(tensor) < LANES:
        padding = tensor.new_full((LANES - len(tensor), *tensor.shape[1:]), torch.nan)
        tensor = torch.cat([tensor, padding])
    array: Floats = tensor.numpy().reshape(-1)
    return array


def draw_image(state: Pass) -> tuple[list[Tensor], NDArray[np.bool_]]:
    """Run the stages in a workspace of its own, which goes back when the pass is forgotten."""
    state.space = workspace.borrow()
    state.release = weakref.finalize(state, workspace.give_back, state.space)
    size = (state.camera.height, state.camera.width)
    image = [torch.empty(*size, 3), torch.empty(size), torch.empty(size)]
    visible = np.empty(state.count, np.bool_)
    passes.project_all(state)
    passes.fill_lists(state, passes.sort_by_depth(state, visible))
    passes.draw(state, _arrays(image))
    return image, visible


def _arrays(image: Sequence[Tensor]) -> Image:
    color, depth, alpha = (tensor.contiguous().numpy() for tensor in image)
    return color, depth, alpha


def _contribution(state: Pass, count: int, image: Image) -> Tensor:
    """Return Σ over pixels of w_i: the gradient of the image's red by the Gaussians' red."""
    by_color = np.zeros((state.camera.height, state.camera.width, 3), np.float32)
    by_color[..., 0] = 1
    none = np.zeros(by_color.shape[:2], np.float32)
    slots = passes.draw_backward(state, image, (by_color, none, none))
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
            [flat(tensor) for tensor in parameters], camera, background.numpy(), degree, compensate
        )
        count = len(parameters[0])
        with KERNELS:
            image, visible = draw_image(state)
            weight = _contribution(state, count, _arrays(image)) if contribution else None
        ctx.state = state
        ctx.save_for_backward(*image, *parameters)
        outside = torch.from_numpy(visible[:count])
        ctx.mark_non_differentiable(outside, *([] if weight is None else [weight]))
        return *image, outside, weight

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the parameters; a second call draws the image again first."""
        state: Pass = ctx.state
        saved = ctx.saved_tensors  # raises if they were changed in between
        image, shapes = _arrays(saved[:3]), [tensor.shape for tensor in saved[3:]]
        gradients = [np.empty_like(flat) for flat in state.inputs]
        with KERNELS:
            if not state.release.alive:
                draw_image(state)
            slots = passes.draw_backward(state, image, _arrays(by_outputs[:3]))
            passes.project_all_backward(state, slots, gradients)
            state.release()
        used = [
            torch.from_numpy(g).view(-1, *s[1:])[: s[0]] for g, s in zip(gradients, shapes, strict=True)
        ]
        return None, None, None, None, None, *used
