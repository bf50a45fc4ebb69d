"""A Wan-VACE folder looked through before it is loaded: diffusers would fill what is missing with noise."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from reconx_ros.errors import SynthesisError

if TYPE_CHECKING:
    from diffusers import ModelMixin

PIPELINE = "WanVACEPipeline"
INDEX = "model_index.json"
HELP = (
    "give a folder that `WanVACEPipeline.save_pretrained` wrote, or a Hugging Face id such as "
    "Wan-AI/Wan2.1-VACE-1.3B-diffusers"
)
SECOND = "transformer_2"
"""Wan 2.2 hands over to it: twice the memory, and no structure branch of ours."""

NAMED = 3
"""Keys that an error names."""


def check_folder(folder: Path) -> None:
    """Check that ``folder`` holds a whole Wan-VACE, by names and shapes of its tensors.

    The text encoder is not looked at: it may not be needed.

    Raises:
        SynthesisError: it does not; the message names what is wrong.
    """
    from diffusers import AutoencoderKLWan, WanVACETransformer3DModel  # noqa: PLC0415

    _check_index(folder)
    for part, kind in (("transformer", WanVACETransformer3DModel), ("vae", AutoencoderKLWan)):
        complaints = key_complaints(_expected(folder / part, kind), _held(folder / part), extra=False)
        if complaints:
            raise SynthesisError(f"{folder / part} is not what it describes ({complaints}); {HELP}")


def key_complaints(wanted: Mapping[str, Any], given: Mapping[str, Any], *, extra: bool = True) -> str:
    """Return how the keys and shapes of ``given`` differ from ``wanted``, empty where they do not.

    Args:
        wanted: things with a shape.
        given: the same.
        extra: whether keys that are not wanted are a complaint.
    """
    both = [key for key in wanted if key in given and tuple(wanted[key].shape) != tuple(given[key].shape)]
    found = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted] if extra else [],
        "of another shape": [f"{k} {tuple(given[k].shape)}, not {tuple(wanted[k].shape)}" for k in both],
    }
    return "; ".join(f"{len(keys)} {what}: {_few(keys)}" for what, keys in found.items() if keys)


def first_line(err: BaseException) -> str:
    """Return the first line of what an exception says, cut to a readable length."""
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:200]


def _check_index(folder: Path) -> None:
    try:
        held = json.loads((folder / INDEX).read_text())
        name = held.get("_class_name")
    except FileNotFoundError as err:
        raise SynthesisError(f"{folder} has no {INDEX}: it is no diffusers pipeline; {HELP}") from err
    except (OSError, ValueError, AttributeError) as err:
        raise SynthesisError(f"{folder / INDEX} cannot be read ({first_line(err)}); {HELP}") from err
    if name != PIPELINE:
        raise SynthesisError(f"{folder} holds a {name}, not a {PIPELINE}; {HELP}")
    if any(held.get(SECOND) or ()):
        raise SynthesisError(
            f"{folder} has a {SECOND}: a Wan 2.2 VACE of two transformers is not supported; {HELP}"
        )


def _expected(folder: Path, kind: "type[ModelMixin]") -> dict[str, Any]:
    """Return the tensors that ``config.json`` describes, without memory."""
    try:
        with torch.device("meta"):
            state: dict[str, Any] = kind.from_config(kind.load_config(folder)).state_dict()
            return state
    except Exception as err:  # a damaged or foreign configuration fails in many ways
        raise SynthesisError(f"{folder} describes no {kind.__name__} ({first_line(err)}); {HELP}") from err


class _Shape:
    """What a header says of a tensor."""

    def __init__(self, shape: list[int]) -> None:
        self.shape = shape


def _held(folder: Path) -> dict[str, _Shape]:
    """Return names and shapes of the tensors in all .safetensors files of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise SynthesisError(f"{folder} holds no .safetensors file; {HELP}")
    return {key: shape for file in files for key, shape in _shapes(file)}


def _shapes(file: Path) -> list[tuple[str, _Shape]]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    try:
        with safe_open(file, "pt") as opened:
            return [(key, _Shape(opened.get_slice(key).get_shape())) for key in opened.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as err:
        raise SynthesisError(f"{file} is damaged ({first_line(err)}); fetch it again") from err


def _few(keys: list[str]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more
