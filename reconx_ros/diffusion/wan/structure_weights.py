"""The structure branch's own file: its tensors, and in the header its size and the model it belongs to."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError
from torch import Tensor

from reconx_ros.diffusion.wan.checkpoint import first_line, key_complaints
from reconx_ros.diffusion.wan.structure_branch import StructureBranch, transformer_size
from reconx_ros.errors import SynthesisError
from reconx_ros.structure.encoder import EncoderConfig

if TYPE_CHECKING:
    from diffusers import WanVACETransformer3DModel

FORMAT = "reconx-wan-structure-1"


def save_structure(branch: StructureBranch, file: Path) -> None:
    """Write the branch in half precision, aside and then renamed."""
    from safetensors.torch import save_file  # noqa: PLC0415

    tensors = {key: value.detach().half().cpu().contiguous() for key, value in branch.state_dict().items()}
    header = {"format": FORMAT, "encoder": branch.encoder.config.model_dump_json()}
    aside = file.with_name(file.name + ".part")
    save_file(tensors, aside, header)
    aside.replace(file)


def load_structure(file: Path, transformer: "WanVACETransformer3DModel") -> StructureBranch:
    """Return the branch in ``file``, float32, not yet installed in ``transformer``.

    Raises:
        SynthesisError: there is no such file, it is damaged, it is something else, or it belongs to a
            transformer of another size.
    """
    header, tensors = _read(file)
    if header.get("format") != FORMAT:
        raise SynthesisError(
            f"{file} holds no structure attention for Wan-VACE (its format is "
            f"'{header.get('format', 'not named')}', not '{FORMAT}'): `save_structure` writes such a file"
        )
    branch = StructureBranch.for_transformer(transformer, _encoder(file, header))
    complaints = key_complaints(branch.state_dict(), tensors)
    if complaints:
        width, blocks = transformer_size(transformer)
        raise SynthesisError(
            f"{file} belongs to another model ({complaints}): the transformer here has {blocks} blocks of "
            f"width {width}"
        )
    branch.load_state_dict({key: value.float() for key, value in tensors.items()})
    return branch.eval().requires_grad_(False)


def _encoder(file: Path, header: dict[str, str]) -> EncoderConfig:
    try:
        return EncoderConfig.model_validate(json.loads(header["encoder"]))
    except (KeyError, ValueError, ValidationError) as err:
        raise SynthesisError(f"{file} does not say the size of its encoder ({first_line(err)})") from err


def _read(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    if not file.is_file():
        raise SynthesisError(
            f"synthesis.wan.structure = '{file}' does not exist: give a .safetensors file, or leave it out"
        )
    try:
        with safe_open(file, "pt") as opened:
            tensors: dict[str, Tensor] = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            return opened.metadata() or {}, tensors
    except (SafetensorError, OSError, torch.OutOfMemoryError) as err:
        raise SynthesisError(f"{file} is damaged or no .safetensors file ({first_line(err)})") from err
