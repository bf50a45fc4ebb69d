"""Which device networks and Gaussians live on."""

import torch

from reconx_ros.errors import SplattingError
from reconx_ros.splatting import gsplat_backend


def choose_device(device: str) -> torch.device:
    """Return the device of ``auto``, ``cpu`` or ``cuda``; ``auto`` is CUDA where there is one.

    Raises:
        SplattingError: CUDA is asked for and there is none, or the name is unknown.
    """
    cuda = torch.cuda.is_available()
    if device not in ("auto", "cpu", "cuda"):
        raise SplattingError(f"device '{device}' is unknown; choose auto, cpu or cuda")
    if device == "cuda" and not cuda:
        raise SplattingError("device 'cuda' is not available here; choose auto or cpu")
    return torch.device("cuda" if cuda and device != "cpu" else "cpu")


def drawing_device(rasterizer: str, device: str) -> torch.device:
    """Return the device on which Gaussians are kept and drawn.

    The CPU kernels work on the CPU's memory: Gaussians kept elsewhere would travel there and back in
    every step. So it is the CPU with the rasterizer ``cpu``, and with ``auto`` where gsplat cannot draw.

    Args:
        rasterizer: ``auto``, ``gsplat``, ``cpu`` or ``reference``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        SplattingError: as ``choose_device``, or gsplat is to draw on the CPU.
        MissingDependencyError: gsplat is asked for and cannot draw here.
    """
    chosen = choose_device(device)
    if rasterizer == "gsplat":
        gsplat_backend.require()
        if chosen.type == "cpu":
            raise SplattingError("rasterizer 'gsplat' cannot draw on device 'cpu': choose cuda or auto")
    unused = rasterizer == "auto" and chosen.type == "cuda" and not gsplat_backend.usable()
    return torch.device("cpu") if rasterizer == "cpu" or unused else chosen
