"""Which device the Gaussians live on."""

import torch

from reconx_ros.errors import SplattingError


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
