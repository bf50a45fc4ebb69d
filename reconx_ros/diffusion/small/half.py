"""Where half precision is the quicker one."""

import torch


def half_pays(device: str) -> bool:
    """Tell whether convolutions in bfloat16 are quick on ``device``.

    A CPU without AVX-512 computes them without vectors, a hundred times more slowly than in float32.

    Args:
        device: ``cpu``, or a GPU's name as torch writes it.
    """
    return not device.startswith("cpu") or torch.backends.cpu.get_cpu_capability() == "AVX512"
