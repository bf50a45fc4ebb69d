"""Whether a GPU matches, and what happens when its memory runs out."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.stereo.winner import Winner
from reconx_ros.machine import ran_out_of_memory

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]


def cuda_serves(asked: str) -> bool:
    """Return whether CUDA is to be used.

    Raises:
        GeometryError: it is asked for and not there.
    """
    import torch  # noqa: PLC0415 - not where asked for the CPU

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise GeometryError(
            "geometry.plane_sweep.device = 'cuda', but torch finds no CUDA device; choose auto"
        )
    return asked != "cpu" and there


def match_on_cuda(
    image: Floats, others: Sequence[Floats], transfers: Floats, planes: Floats, config: PlaneSweepConfig
) -> Winner | None:
    """Return the winner of every pixel, or None (with a warning) where the memory of the GPU runs out."""
    import torch  # noqa: PLC0415

    from reconx_ros.geometry.stereo.tensor.match import match  # noqa: PLC0415

    try:
        return match(image, others, transfers, planes, config, "cuda")
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as err:
        if not ran_out_of_memory(err):
            raise
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
    # Outside the handler, whose traceback holds the tensors.
    _log.warning("stereo ran out of GPU memory and goes on on the CPU: %s", reason)
    torch.cuda.empty_cache()
    return None
