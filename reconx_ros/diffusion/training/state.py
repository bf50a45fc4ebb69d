"""The whole state of a training run, saved so that going on is bit for bit the same as not stopping."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import AdamW

from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.errors import SynthesisError

STATE = "state.safetensors"


@dataclass(eq=False)
class Training:
    """A run between two steps.

    Attributes:
        model: what is trained.
        optimiser: AdamW over its parameters.
        average: exponential moving average of the parameters, by name.
        step: steps done.
    """

    model: SmallModel
    optimiser: AdamW
    average: dict[str, Tensor]
    step: int = 0

    @classmethod
    def begin(cls, model: SmallModel, learning_rate: float, weight_decay: float) -> "Training":
        """Start a run with the model as it is."""
        optimiser = AdamW(model.parameters(), learning_rate, (0.9, 0.99), weight_decay=weight_decay)
        average = {name: value.detach().clone() for name, value in model.named_parameters()}
        return cls(model, optimiser, average)

    def follow(self, decay: float) -> None:
        """Move the average toward the parameters; faster while few steps are done."""
        share = 1 - min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.named_parameters():
                self.average[name].lerp_(value, share)

    def save(self, folder: Path) -> None:
        """Write the state; the file in the folder is the old one or the new one, never a part."""
        tensors = {f"model/{name}": value.detach() for name, value in self.model.named_parameters()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for name, value in self.model.named_parameters():
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
            for name, value in self.model.named_parameters():
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


def _step(file: Path) -> int:

    with safe_open(file, "pt") as opened:
        return int(json.loads(opened.metadata()["step"]))
