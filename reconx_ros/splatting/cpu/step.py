"""A training step that goes around autograd where it can: from the image to the parameters.

Autograd sees the image as a leaf, so that any loss works; what lies behind the image, from compositing to
Adam, is two kernels, and the gradients of the parameters never exist in memory:

    frame = Frame(parameters, camera)
    loss(frame.color, frame.depth, frame.alpha).backward()
    frame.step(adam, rates)
"""

import numpy as np
import torch
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.errors import SplattingError
from reconx_ros.splatting.adam import BETAS, EPSILON, GaussianAdam, Rates
from reconx_ros.splatting.cpu import passes, splats
from reconx_ros.splatting.cpu.adam import bias_corrections
from reconx_ros.splatting.cpu.autograd import LANES, draw_image, flat
from reconx_ros.splatting.cpu.passes import Floats, Image, Pass
from reconx_ros.splatting.cpu.project_update import project_update
from reconx_ros.splatting.cpu.threads import KERNELS
from reconx_ros.splatting.dropout import Thinned
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import check_drawable


class Frame:
    """A view of Gaussians on the CPU, drawn to take one optimiser step from it.

    Attributes:
        color: [H, W, 3], a leaf that receives a gradient, as in ``rasterize``.
        depth: [H, W], likewise.
        alpha: [H, W], likewise.
        visible: [N] bool, the Gaussians that can reach a pixel: those that ``step`` moves.
    """

    def __init__(
        self,
        parameters: GaussianParameters,
        camera: Camera,
        *,
        background: Tensor | None = None,
        sh_degree: int | None = None,
        compensate: bool = False,
        thinned: Thinned | None = None,
    ) -> None:
        """Draw the view; the arguments are those of ``rasterize``, the tensors float32 and contiguous.

        Args:
            parameters: N Gaussians, which ``step`` moves.
            camera: the view.
            background: [3] colour behind the Gaussians, black by default.
            sh_degree: the highest degree to use, all that is stored by default.
            compensate: scale opacities for what the low-pass filter adds.
            thinned: opacities to draw in place of those of ``parameters``.

        Raises:
            SplattingError: the camera, the degree or the tensors cannot be rendered, or not in place.
        """
        degree = parameters.sh_degree if sh_degree is None else sh_degree
        check_drawable(parameters, camera, degree)
        _check_in_place(parameters)
        behind = np.zeros(3, np.float32) if background is None else background.detach().float().numpy()
        self._parameters, self._thinned = parameters, thinned
        inputs = [flat(t) for t in parameters.tensors()]
        self._logits = inputs[3]
        if thinned is not None:
            inputs[3] = flat(thinned.logits)
        self._pass = Pass(inputs, camera, behind, degree, compensate)
        with KERNELS:
            image, visible = draw_image(self._pass)
        self._slots: Floats | None = None
        self.color, self.depth, self.alpha = (tensor.requires_grad_() for tensor in image)
        self.visible = torch.from_numpy(visible[: len(parameters)])

    def step(self, adam: GaussianAdam, rates: Rates) -> int:
        """Move the visible Gaussians by the gradients that the image has received; once a frame.

        Returns:
            Rows of the five tensors that were left as they are for a gradient that is not finite.
        """
        with KERNELS, torch.no_grad():
            slots = self._backward()
            if len(self._parameters) < LANES:
                dropped = self._step_by_gradients(slots, adam, rates)
            else:
                dropped = self._sweep(slots, adam, rates)
            self._pass.release()
        return dropped

    def slot_sums(self) -> Tensor:
        """Return the gradients of the projected Gaussians [N, SLOT] (``splats.SLOT``), before ``step``."""
        with KERNELS, torch.no_grad():
            slots = torch.from_numpy(self._backward()).view(-1, splats.SLOT)
        state, n = self._pass, len(self._parameters)
        first, count = (
            torch.from_numpy(state.space.ints(name, state.count)[:n]).long()
            for name in ("first_slot", "slot_count")
        )
        owner = torch.repeat_interleave(torch.arange(n), count)
        place = torch.arange(len(owner)) - torch.repeat_interleave(count.cumsum(0) - count, count)
        return torch.zeros(n, splats.SLOT).index_add_(0, owner, slots[first[owner] + place])

    def _backward(self) -> Floats:
        if self._slots is None:
            self._slots = passes.draw_backward(self._pass, *self._image_and_gradient())
        return self._slots

    def _image_and_gradient(self) -> tuple[Image, Image]:
        tensors = self.color, self.depth, self.alpha
        image, by_image = (
            tuple(t.contiguous().numpy() for t in group)
            for group in (
                [t.detach() for t in tensors],
                [torch.zeros_like(t) if t.grad is None else t.grad for t in tensors],
            )
        )
        return (image[0], image[1], image[2]), (by_image[0], by_image[1], by_image[2])

    def _sweep(self, slots: Floats, adam: GaussianAdam, rates: Rates) -> int:
        state, parameters = self._pass, self._parameters
        per_number = np.concatenate([np.asarray(r) for r in rates.per_number(parameters.sh.shape[1])])
        scratch = state.space.scratch()
        slopes = np.ones_like(self._logits) if self._thinned is None else self._thinned.slopes.numpy()
        dropped = np.zeros(len(scratch), np.int64)
        project_update(
            *state.projection_arguments(),
            slots,
            state.space.ints("first_slot", state.count),
            state.space.ints("slot_count", state.count),
            self._logits,
            slopes,
            self.visible.numpy(),
            *(flat(tensor) for tensor in adam.first),
            *(flat(tensor) for tensor in adam.second),
            adam.counts.numpy(),
            per_number.astype(np.float32),
            *bias_corrections(*BETAS),
            *(np.float32(number) for number in (*BETAS, EPSILON)),
            dropped,
            state.space.ticket(),
        )
        for tensor in parameters.tensors():
            torch.autograd.graph.increment_version(tensor)
        return int(dropped.sum())

    def _step_by_gradients(self, slots: Floats, adam: GaussianAdam, rates: Rates) -> int:
        """Do the same for fewer Gaussians than a vector has lanes: the kernels work on padded copies."""
        gradients = [np.empty_like(array) for array in self._pass.inputs]
        passes.project_all_backward(self._pass, slots, gradients)
        for tensor, gradient in zip(self._parameters.tensors(), gradients, strict=True):
            tensor.grad = torch.from_numpy(gradient).view(LANES, *tensor.shape[1:])[: len(tensor)].clone()
        if self._thinned is not None and self._parameters.opacity_logits.grad is not None:
            self._parameters.opacity_logits.grad *= self._thinned.slopes
        return adam.step(self._parameters, self.visible, rates)


def _check_in_place(parameters: GaussianParameters) -> None:
    """Make sure that the kernels can work on the tensors themselves rather than on copies."""
    for name, tensor in vars(parameters).items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu" or not tensor.is_contiguous():
            raise SplattingError(
                f"{name} is {tensor.dtype} on {tensor.device} with strides {tensor.stride()}: a step on "
                "the CPU needs contiguous float32 tensors there"
            )
