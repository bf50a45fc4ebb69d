"""One function that draws Gaussians, whichever rasterizer does the work."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.errors import SplattingError
from reconx_ros.geometry.protocol import GENERATED
from reconx_ros.splatting import gsplat_backend, model
from reconx_ros.splatting.device import drawing_device
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters

Backend = Literal["auto", "gsplat", "cpu", "reference"]
Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]


@dataclass(eq=False)
class Rendered:
    """A rendered view; color, depth and alpha carry gradients to the five parameter tensors.

    Attributes:
        color: [H, W, 3], Σ w_i c_i + (1 - alpha) background.
        depth: [H, W], Σ w_i z_i, not divided by alpha; metres along the optical axis.
        alpha: [H, W], Σ w_i.
        visible: [N] bool, the Gaussians that can reach a pixel; all others have no gradient.
        contribution: [N] Σ over pixels of w_i, no gradient; None unless asked for.
    """

    color: Tensor
    depth: Tensor
    alpha: Tensor
    visible: Tensor
    contribution: Tensor | None = None


def rasterize(
    parameters: GaussianParameters,
    camera: Camera,
    *,
    background: Tensor | None = None,
    sh_degree: int | None = None,
    backend: Backend = "auto",
    contribution: bool = False,
    compensate: bool = False,
) -> Rendered:
    """Draw Gaussians as a camera sees them, differentiably (Kerbl et al. 2023).

    Gaussians with a number that is not finite (or a zero quaternion) are left out and get no gradient.

    Args:
        parameters: N Gaussians, N may be 0.
        camera: the view; skew is not modelled, and no gradient flows to it.
        background: [3] colour behind the Gaussians, black by default; no gradient flows to it.
        sh_degree: the highest degree to use, all that is stored by default.
        backend: ``auto`` is gsplat for CUDA tensors where it is installed, else the CPU kernels.
        contribution: also return the weight of each Gaussian in the image.
        compensate: scale opacities for what the low-pass filter adds (Mip-Splatting).

    Raises:
        SplattingError: the camera, the degree or the tensors cannot be rendered.
        torch.OutOfMemoryError: the GPU's memory does not suffice.
    """
    degree = parameters.sh_degree if sh_degree is None else sh_degree
    check_drawable(parameters, camera, degree)
    behind = torch.zeros(3) if background is None else background.detach()
    behind = behind.to(parameters.means)
    draw = _BACKENDS[_choose(parameters, backend)]
    color, depth, alpha, visible, weight = draw(
        parameters, camera, behind, degree, compensate, contribution
    )
    return Rendered(color, depth, alpha, visible, weight)


def render_view(
    gaussians: GaussianMap, camera: Camera, backend: Backend = "auto", device: str = "auto"
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Draw a map without gradients; on the CPU, with a warning, where GPU memory runs out.

    Args:
        gaussians: the map.
        camera: the view.
        backend: the rasterizer.
        device: where it may draw; see ``drawing_device``.

    Returns:
        image [H, W, 3] over black, depth [H, W] in metres (NaN where alpha < 0.5), alpha [H, W].

    Raises:
        SplattingError: the camera cannot be rendered, or the device is not there.
        MissingDependencyError: gsplat is asked for and cannot draw here.
    """
    where, drawn = drawing_device(backend, device), None
    try:
        drawn = _drawn(gaussians, camera, backend, where)
    except torch.OutOfMemoryError:
        size = f"{camera.width}x{camera.height}"
        warnings.warn(
            f"out of GPU memory drawing {len(gaussians)} Gaussians at {size}: drawn on the CPU instead",
            RuntimeWarning,
            stacklevel=2,
        )
    if drawn is None:  # not in the handler: the error holds on to what had been made
        torch.cuda.empty_cache()
        drawn = _drawn(gaussians, camera, "cpu", torch.device("cpu"))
    color, depth, alpha = drawn
    depth /= np.maximum(alpha, 0.5)
    depth[alpha < 0.5] = np.nan
    return color, depth, alpha


def _drawn(
    gaussians: GaussianMap, camera: Camera, backend: Backend, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    parameters = GaussianParameters.from_map(gaussians, device)
    with torch.no_grad():
        rendered = rasterize(parameters, camera, backend=backend)
    return rendered.color.cpu().numpy(), rendered.depth.cpu().numpy(), rendered.alpha.cpu().numpy()


def observed_by(
    gaussians: GaussianMap, backend: Backend = "auto", device: str = "auto"
) -> Callable[[Camera], tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return a function that gives image over black and alpha of what was seen of a map.

    Generated Gaussians are left out: what is filmed next is not to hold on to what was filmed before.
    """
    seen = gaussians.select(np.flatnonzero(gaussians.provenance != GENERATED))

    def shown(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        image, _, alpha = render_view(seen, camera, backend, device)
        return image, alpha

    return shown


def check_drawable(parameters: GaussianParameters, camera: Camera, degree: int) -> None:
    """Make sure that Gaussians can be drawn with a camera and a degree of harmonics.

    Raises:
        SplattingError: they cannot.
    """
    check_camera(camera)
    if not 0 <= degree <= min(3, parameters.sh_degree):
        raise SplattingError(
            f"spherical-harmonics degree {degree} is out of range: "
            f"these Gaussians have degrees 0 to {min(3, parameters.sh_degree)}"
        )
    sizes = {len(tensor) for tensor in parameters.tensors()}
    if len(sizes) > 1:
        raise SplattingError(
            f"parameter tensors have {sorted(sizes)} rows: all must have one row a Gaussian"
        )


def check_camera(camera: Camera) -> None:
    """Make sure that a camera can be drawn with.

    Raises:
        SplattingError: it cannot.
    """
    if not model.camera_is_usable(camera):
        raise SplattingError(
            f"camera of {camera.width}x{camera.height} pixels with focal lengths "
            f"{camera.intrinsics[0, 0]:g}, {camera.intrinsics[1, 1]:g} cannot be rendered: sizes and focal "
            "lengths must be positive and all numbers finite"
        )


def _choose(parameters: GaussianParameters, backend: Backend) -> Backend:
    if backend == "auto":
        return "gsplat" if parameters.means.is_cuda and gsplat_backend.usable() else "cpu"
    if backend == "gsplat":
        gsplat_backend.require()
        if not parameters.means.is_cuda:
            raise SplattingError("rasterizer 'gsplat' needs tensors on 'cuda', not on 'cpu'")
    return backend


def _reference(
    parameters: GaussianParameters,
    camera: Camera,
    background: Tensor,
    degree: int,
    compensate: bool,
    _: bool,
) -> Outputs:
    from reconx_ros.splatting.reference import rasterize_reference  # noqa: PLC0415

    *outputs, contribution = rasterize_reference(parameters, camera, background, degree, compensate)
    return outputs[0], outputs[1], outputs[2], outputs[3], contribution.detach()


def _cpu(
    parameters: GaussianParameters,
    camera: Camera,
    background: Tensor,
    degree: int,
    compensate: bool,
    contribution: bool,
) -> Outputs:
    from reconx_ros.splatting.cpu.autograd import Rasterize  # noqa: PLC0415

    device = parameters.means.device
    single = (tensor.float().cpu() for tensor in parameters.tensors())
    behind = background.float().cpu()
    outputs = Rasterize.apply(camera, behind, degree, compensate, contribution, *single)  # type: ignore[no-untyped-call]
    color, depth, alpha, visible = (output.to(device) for output in outputs[:4])
    return color, depth, alpha, visible, None if outputs[4] is None else outputs[4].to(device)


def _gsplat(
    parameters: GaussianParameters,
    camera: Camera,
    background: Tensor,
    degree: int,
    compensate: bool,
    contribution: bool,
) -> Outputs:
    return gsplat_backend.rasterize_gsplat(parameters, camera, background, degree, compensate, contribution)


_BACKENDS: dict[Backend, Callable[[GaussianParameters, Camera, Tensor, int, bool, bool], Outputs]] = {
    "gsplat": _gsplat,
    "cpu": _cpu,
    "reference": _reference,
}
