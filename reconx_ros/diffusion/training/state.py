"""The whole state of a training run, saved so that going on is bit for bit the same as not stopping."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW

from reconx_ros.diffusion.small.clouds import PointNetwork
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.errors import SynthesisError

STATE = "state.safetensors"


@dataclass(eq=False)
class Run(ABC):
    """A run between two steps, whatever is trained.

    Attributes:
        optimiser: AdamW over what is trained; each group says by which ``times`` it learns faster.
        average: exponential moving average of what is trained, by name.
        step: steps done.
    """

    optimiser: AdamW
    average: dict[str, Tensor]
    step: int = field(default=0, kw_only=True)

    @abstractmethod
    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over everything that is trained."""

    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Set everything that is trained to ``values``, by name."""
        with torch.no_grad():
            for name, value in self.named():
                value.copy_(values[name])

    def follow(self, decay: float) -> None:
        """Move the average toward the parameters; faster while few steps are done."""
        share = 1 - min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.named():
                self.average[name].lerp_(value, share)

    def save(self, folder: Path) -> None:
        """Write the state; the file in the folder is the old one or the new one, never a part."""
        tensors = {f"model/{name}": value.detach() for name, value in self.named()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for name, value in self.named():
            for key, moment in self.optimiser.state.get(value, {}).items():
                tensors[f"{key}/{name}"] = moment
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        partial = folder / f"{STATE}.partial"
        save_file(contiguous, partial, {"step": json.dumps(self.step)})
        partial.replace(folder / STATE)

    def load(self, folder: Path) -> None:
        """Take the state that is in the folder.

        Raises:
            SynthesisError: it cannot be read or belongs to another model.
        """
        try:
            tensors = load_file(folder / STATE)
            self.step = _step(folder / STATE)
            self._take(tensors)
        except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as err:
            raise SynthesisError(f"{folder / STATE} is not a state of this training: {err}") from err

    def _take(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in self.named():
                value.copy_(tensors[f"model/{name}"])
                self.average[name].copy_(tensors[f"average/{name}"])
                if f"exp_avg/{name}" in tensors:
                    keys = ("step", "exp_avg", "exp_avg_sq")
                    moments = {key: tensors[f"{key}/{name}"] for key in keys}
                    device = value.device
                    self.optimiser.state[value] = {
                        key: moment if key == "step" else moment.to(device)
                        for key, moment in moments.items()
                    }


@dataclass(eq=False)
class Training(Run):
    """The small model between two steps.

    Attributes:
        model: what is trained.
        encoder: of the structure, trained along; ``None`` leaves that branch out.
    """

    model: SmallNetwork = field(kw_only=True)
    encoder: PointNetwork | None = field(default=None, kw_only=True)

    @classmethod
    def begin(
        cls,
        model: SmallNetwork,
        encoder: PointNetwork | None,
        learning_rate: float,
        weight_decay: float,
        structure_rate: float = 1.0,
    ) -> "Training":
        """Start a run with the model and the encoder as they are.

        Args:
            model: what is trained.
            encoder: of the structure, trained along; ``None`` leaves that branch out.
            learning_rate: at first.
            weight_decay: of AdamW.
            structure_rate: by what the structure branch learns faster than the rest.
        """
        parameters = dict(_named(model, encoder))
        groups = [
            {"params": [value for name, value in parameters.items() if chosen(name)], "times": times}
            for chosen, times in ((_elsewhere, 1.0), (_of_structure, structure_rate))
        ]
        optimiser = AdamW(groups, learning_rate, (0.9, 0.99), weight_decay=weight_decay)
        average = {name: value.detach().clone() for name, value in parameters.items()}
        return cls(optimiser, average, model=model, encoder=encoder)

    def named(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Iterate over everything that is trained."""
        return _named(self.model, self.encoder)


def _named(model: SmallNetwork, encoder: PointNetwork | None) -> Iterator[tuple[str, nn.Parameter]]:
    yield from model.named_parameters()
    if encoder is not None:
        yield from ((f"encoder.{name}", value) for name, value in encoder.named_parameters())


def _of_structure(name: str) -> bool:
    parts = name.split(".")
    return (
        parts[0] in ("encoder", "structure", "structure_place")
        or parts[-1] == "gate"
        or "to_kv_structure" in parts
    )


def _elsewhere(name: str) -> bool:
    return not _of_structure(name)


def _step(file: Path) -> int:
    with safe_open(file, "pt") as opened:
        return int(json.loads(opened.metadata()["step"]))
