"""gsplat (Ye et al. 2024) behind the contract of ``rasterize``, for CUDA tensors.

Two differences remain: its kernels are compiled with fast-math, and gsplat 1.5 clips alpha to 0.999 instead
of 0.99. Where a Gaussian is that opaque, a pixel changes by a hundredth at most, or by a tenth where it
lets through less light than ``TRANSMITTANCE_MIN`` with the one clip alone.
"""

import warnings
from functools import cache

import torch
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.errors import MissingDependencyError
from reconx_ros.splatting import model
from reconx_ros.splatting.parameters import GaussianParameters

Arguments = dict[str, object]

TOOLKIT = (
    f"install the CUDA {torch.version.cuda} toolkit (nvcc), or a gsplat wheel built for "
    f"torch {torch.__version__}"
)


@cache
def missing() -> str | None:
    """Return what keeps gsplat from drawing on this machine and what to do, None if nothing does.

    It draws one Gaussian: kernels built for another GPU fail only then. gsplat compiles its kernels when it
    is first imported where no build comes with it, so the first call may take minutes.
    """
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        return f"torch finds no CUDA device{'' if built else ': it is built without CUDA'}"
    try:
        from gsplat.cuda._backend import _C  # noqa: PLC0415
    except ModuleNotFoundError as error:
        return f"the Python module '{error.name}' is missing: install it"
    except Exception as error:  # a build fails in many ways; all mean the same here
        return f"gsplat's CUDA kernels do not compile ({_told(error)}): {TOOLKIT}"
    if _C is None:
        return f"gsplat has no CUDA kernels, for there is no nvcc to compile them: {TOOLKIT}"
    try:
        _draw_one()
    except Exception as error:  # likewise
        return f"gsplat's CUDA kernels do not run ({_told(error)}): {TOOLKIT}"
    return None


def _draw_one() -> None:
    from gsplat import rasterization  # noqa: PLC0415

    one = torch.ones(1, 3, device="cuda")
    turn, matrix = torch.ones(1, 4, device="cuda"), torch.eye(4, device="cuda")
    rasterization(one, turn, one, one[:, 0], one, matrix[None], matrix[None, :3, :3], 16, 16)


def _told(error: Exception) -> str:
    """Return the kind of an error and the first line of what it says."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@cache
def usable() -> bool:
    """Return whether gsplat can draw; warn once, saying what is missing, where it cannot."""
    reason = missing()
    if reason is not None:
        warnings.warn(f"{reason}; Gaussians are drawn on the CPU instead", stacklevel=3)
    return reason is None


def require() -> None:
    """Raise ``MissingDependencyError`` where gsplat cannot draw."""
    reason = missing()
    if reason is not None:
        raise MissingDependencyError(f"rasterizer 'gsplat' cannot run: {reason}; or choose 'cpu'")


def drawable_rows(parameters: GaussianParameters) -> Tensor:
    """Return the indices of the Gaussians whose numbers are finite and whose quaternion is not zero."""
    finite = [tensor.isfinite()[:, None].flatten(1).all(1) for tensor in parameters.tensors()]
    turned = parameters.quaternions_wxyz.square().sum(1) > 0
    return (torch.stack(finite).all(0) & turned).nonzero().flatten()


def view_arguments(camera: Camera, like: Tensor) -> Arguments:
    """Return the camera as gsplat takes it: pixel centres at + 0.5."""
    intrinsics = torch.from_numpy(camera.intrinsics).clone()
    intrinsics[:2, 2] += 0.5
    return {
        "viewmats": torch.from_numpy(camera.camera_from_world).to(like)[None],
        "Ks": intrinsics.to(like)[None],
        "width": camera.width,
        "height": camera.height,
        "near_plane": model.NEAR,
        "eps2d": model.LOW_PASS,
        "packed": True,
    }


def rasterize_gsplat(
    parameters: GaussianParameters,
    camera: Camera,
    background: Tensor,
    degree: int,
    compensate: bool,
    contribution: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Return color [H, W, 3], depth [H, W], alpha [H, W], visible [N] bool and the contribution [N]."""
    from gsplat import rasterization  # noqa: PLC0415

    rows = drawable_rows(parameters)
    visible = torch.zeros(len(parameters), dtype=torch.bool, device=rows.device)
    weights = torch.zeros(len(parameters), device=rows.device) if contribution else None
    if len(rows) == 0:
        blank = parameters.means.sum() * 0 + torch.zeros(camera.height, camera.width, device=rows.device)
        return blank[..., None] + background, blank, blank, visible, weights
    used = parameters if len(rows) == len(parameters) else parameters.select(rows)
    common = view_arguments(camera, parameters.means)
    common |= {
        "means": used.means,
        "quats": used.quaternions_wxyz,
        "scales": used.log_scales.exp(),
        "opacities": used.opacity_logits.sigmoid(),
        "rasterize_mode": "antialiased" if compensate else "classic",
    }
    image, alpha, meta = rasterization(
        **common, colors=used.sh, sh_degree=degree, render_mode="RGB+D", backgrounds=background[None]
    )
    visible[rows[meta["gaussian_ids"]]] = True
    if weights is not None:
        weights[rows] = _contribution(common, len(rows), rows.device)
    return image[0, ..., :3], image[0, ..., 3], alpha[0, ..., 0], visible, weights


def _contribution(common: Arguments, count: int, device: torch.device) -> Tensor:
    """Return Σ over pixels of w_i: the gradient of a one-channel image by the channel of each Gaussian."""
    from gsplat import rasterization  # noqa: PLC0415

    fixed = {name: v.detach() if isinstance(v, Tensor) else v for name, v in common.items()}
    with torch.enable_grad():
        channel = torch.ones(count, 1, device=device, requires_grad=True)
        image, _, _ = rasterization(**fixed, colors=channel)
        return torch.autograd.grad(image.sum(), channel)[0][:, 0]
