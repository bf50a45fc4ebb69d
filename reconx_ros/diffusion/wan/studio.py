"""From a configuration to something that films: folder, prompt, weights, memory."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reconx_ros.diffusion.wan.checkpoint import check_folder
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.film import Film
from reconx_ros.diffusion.wan.load import DTYPES, load_pipeline
from reconx_ros.diffusion.wan.memory import memory_named, place
from reconx_ros.diffusion.wan.prompt import prompt_embeddings
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_weights import load_structure

if TYPE_CHECKING:
    from diffusers import WanVACETransformer3DModel

Prompts = tuple[Tensor, Tensor | None]


def open_film(folder: Path, config: WanConfig, device: str, prompts: Prompts | None = None) -> Film:
    """Load everything; the text encoder first and only where its answers are not on disk.

    Args:
        folder: where the model lies.
        config: how to film.
        device: ``cpu`` or ``cuda``.
        prompts: embeddings of prompt and negative prompt, where they are at hand.

    Raises:
        SynthesisError: see ``WanVaceSynthesizer.load``.
        MissingDependencyError: see ``WanVaceSynthesizer.load``.
    """
    from diffusers import WanVACETransformer3DModel  # noqa: PLC0415

    check_folder(folder)
    width = WanVACETransformer3DModel.load_config(folder / "transformer")["text_dim"]
    prompt, negative = prompts or prompt_embeddings(config, folder, width, device)
    pipeline = load_pipeline(folder, config)
    branch = None
    if config.structure is not None and config.structure_guidance != 0:
        branch = load_structure(config.structure, pipeline.transformer)
        installed(branch, pipeline.transformer, DTYPES[config.dtype], device)
    with memory_named(config, config.memory):
        mode = place(pipeline, config, device)
    return Film(pipeline, prompt, negative, branch, config, mode)


def installed(
    branch: StructureBranch, transformer: "WanVACETransformer3DModel", dtype: torch.dtype, device: str
) -> None:
    """Install ``branch``: attentions in the transformer's precision, encoder float32 on ``device``."""
    branch.attentions.to(dtype)
    branch.encoder.to(device)
    branch.install(transformer)
