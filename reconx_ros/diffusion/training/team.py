"""Several processes that train one model together, started by `accelerate launch`.

Each takes its share of every step's clips; gradients are averaged, so that all hold the same weights.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from reconx_ros.errors import MissingDependencyError, SynthesisError

Part = TypeVar("Part")


@dataclass(frozen=True)
class Team:
    """One process of several.

    Attributes:
        device: of this process.
        index: its number.
        count: of processes.
    """

    device: str
    index: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: str) -> "Team":
        """Return the place of this process among those started with it; alone where it was started alone.

        Args:
            device: ``cpu`` or ``cuda``.

        Raises:
            MissingDependencyError: there are others, and accelerate is not installed.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return cls(device)
        try:
            from accelerate import PartialState  # noqa: PLC0415  (an extra)
        except ImportError as err:
            raise MissingDependencyError(
                "training in several processes needs accelerate: pip install 'reconx_ros[train]'"
            ) from err
        state = PartialState(cpu=device == "cpu")
        return cls(str(state.device), state.process_index, state.num_processes)

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def share(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Return what this process takes of a step's clips.

        Raises:
            SynthesisError: they cannot be shared out evenly.
        """
        if len(parts) % self.count:
            raise SynthesisError(
                f"batch {len(parts)} for {self.count} processes: take a multiple of their number"
            )
        return parts[self.index :: self.count]

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set every gradient to the mean over the processes; none where none of them has one."""
        if self.count == 1:
            return
        listed = list(parameters)
        had = torch.tensor([float(each.grad is not None) for each in listed], device=self.device)
        sizes = [each.numel() for each in listed]
        flat = [torch.zeros_like(each) if each.grad is None else each.grad for each in listed]
        joined = _summed(torch.cat([had, *(each.flatten().float() for each in flat)]))
        any_had, values = joined[: len(listed)] > 0, joined[len(listed) :] / self.count
        for each, used, value in zip(listed, any_had, torch.split(values, sizes), strict=True):
            each.grad = value.view_as(each).to(each.dtype).clone() if bool(used) else None

    def agreed(self, asked: bool) -> bool:
        """Return whether any process asks to stop, the same in all."""
        if self.count == 1:
            return asked
        return bool(_summed(torch.tensor([float(asked)], device=self.device)) > 0)


def _summed(values: Tensor) -> Tensor:
    torch.distributed.all_reduce(values)
    return values
