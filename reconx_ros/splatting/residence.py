"""Where a map under optimisation is kept: on the GPU for as long as its memory suffices."""

import gc
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from reconx_ros.splatting.device import drawing_device
from reconx_ros.splatting.rasterize import Backend

T = TypeVar("T")


class Residence:
    """The device of a map and its views, and what draws them there.

    Attributes:
        device: where all of it is.
        backend: what draws it.
        moves: each brings a part of it to the CPU.
    """

    def __init__(self, rasterizer: Backend, device: str) -> None:
        """Choose the device; see ``drawing_device`` for the arguments and what is raised."""
        self.device = drawing_device(rasterizer, device)
        self.backend = rasterizer
        self.moves: Sequence[Callable[[], object]] = ()

    @property
    def fused(self) -> bool:
        """Whether a step is one of the CPU kernels, around autograd (``cpu.step.Frame``)."""
        return self.device.type == "cpu" and self.backend in ("auto", "cpu")

    def repeated(self, work: Callable[[], T], what: str) -> T:
        """Return what ``work`` gives; where GPU memory runs out, all moves to the CPU and it starts anew.

        Args:
            work: changes nothing before it ends.
            what: is being done, for the warning.
        """
        results = _within_memory(work)
        if not results:
            self.leave_the_gpu(what)
            results = [work()]
        return results[0]

    def attempted(self, work: Callable[[], None], what: str) -> None:
        """Do ``work``; where GPU memory runs out, all moves to the CPU and the rest of it is left out."""
        if not _within_memory(work):
            self.leave_the_gpu(what)

    def leave_the_gpu(self, what: str) -> None:
        """Bring everything to the CPU for good, with a warning, and give the GPU's memory back."""
        warnings.warn(
            f"out of GPU memory {what}: going on on the CPU from here on", RuntimeWarning, stacklevel=3
        )
        self.device, self.backend = torch.device("cpu"), "cpu"
        for move in self.moves:
            move()
        gc.collect()
        torch.cuda.empty_cache()


def _within_memory(work: Callable[[], T]) -> list[T]:
    """Return what ``work`` gives, as a list that is empty where GPU memory ran out.

    The error is not kept: its traceback would hold on to all that the work had made.
    """
    try:
        return [work()]
    except torch.OutOfMemoryError:
        return []
