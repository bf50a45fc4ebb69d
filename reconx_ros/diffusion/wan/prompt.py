"""Prompt embeddings, computed once and kept on disk: the text encoder is by far the largest part.

The file's name is a digest of model, precision and prompt, so that another model or prompt gets its own.
"""

import gc
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reconx_ros.diffusion.wan.checkpoint import HELP, first_line
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.load import DTYPES
from reconx_ros.diffusion.wan.memory import GIGA, require, weight_bytes
from reconx_ros.errors import SynthesisError

if TYPE_CHECKING:
    from diffusers import WanVACEPipeline

TOKENS = 512
"""Length of the text the model was trained with."""

KEY = "embedding"


def prompt_embeddings(
    config: WanConfig, folder: Path, width: int, device: str
) -> tuple[Tensor, Tensor | None]:
    """Return the embeddings [1, 512, width] of prompt and negative prompt, on the CPU.

    The text encoder is loaded only where one of them is not on disk. The negative one is ``None`` without
    guidance.

    Args:
        config: names model, prompts and the folder to keep embeddings in.
        folder: where the model lies.
        width: channels of the text that the transformer takes.
        device: where to encode if there is room.

    Raises:
        SynthesisError: the text encoder is missing, damaged or of another width, or memory runs out.
        MissingDependencyError: what cleans the prompt is not installed.
    """
    texts = [config.prompt, config.negative_prompt] if config.guidance > 1 else [config.prompt]
    files = [_file(config, folder, text) for text in texts]
    kept = [_kept(file, width) for file in files]
    found = [each for each in kept if each is not None]
    if len(found) < len(texts):
        found = _encoded(config, folder, texts, device)
        for file, embedding in zip(files, found, strict=True):
            _keep(file, embedding)
    first, *others = (_of_width(each, width, config) for each in found)
    return first, others[0] if others else None


def cache_folder(config: WanConfig) -> Path:
    """Return the folder of prompt embeddings: as configured, else in the user's cache folder."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return config.cache or user / "reconx_ros" / "prompts"


def _file(config: WanConfig, folder: Path, text: str) -> Path:
    local = Path(config.model).expanduser().is_dir()
    encoder = sorted((folder / "text_encoder").glob("*")) if local else []
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in encoder]
    parts = [str(folder.resolve()), files, config.dtype, TOKENS, text]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return cache_folder(config) / f"{digest}.safetensors"


def _kept(file: Path, width: int) -> Tensor | None:
    """Return what is on disk; nothing where it is not, or cannot be what was written."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        embedding = load_file(file)[KEY]
    except (OSError, SafetensorError, KeyError):
        return None
    return embedding if embedding.shape == (1, TOKENS, width) and _finite([embedding]) else None


def _keep(file: Path, embedding: Tensor) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415

    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.{os.getpid()}.part")
    save_file({KEY: embedding.contiguous()}, aside)
    aside.replace(file)


def _encoded(config: WanConfig, folder: Path, texts: list[str], device: str) -> list[Tensor]:
    """Return finite embeddings: where the encoder overflows in half precision, those it gives in fp32."""
    found = _by_encoder(config, folder, texts, device)
    if _finite(found):
        return found
    if config.dtype == "fp32":
        raise SynthesisError(
            f"the text encoder of {config.model} gave NaN in fp32: its weights are damaged"
        )
    return _encoded(config.model_copy(update={"dtype": "fp32"}), folder, texts, device)


def _finite(embeddings: list[Tensor]) -> bool:
    return all(bool(torch.isfinite(each).all()) for each in embeddings)


@torch.no_grad()
def _by_encoder(config: WanConfig, folder: Path, texts: list[str], device: str) -> list[Tensor]:
    require("ftfy", "encoding a prompt for Wan-VACE")
    encoder = _text_pipeline(config, folder)
    try:
        encoder.to(_roomy(encoder.text_encoder, device))
        embeddings = [
            encoder.encode_prompt(text, None, False, max_sequence_length=TOKENS)[0].cpu() for text in texts
        ]
    except RuntimeError as err:
        raise SynthesisError(f"the text encoder of {config.model} failed ({first_line(err)})") from err
    del encoder
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return embeddings


def _text_pipeline(config: WanConfig, folder: Path) -> "WanVACEPipeline":
    from diffusers import WanVACEPipeline  # noqa: PLC0415

    source = folder if Path(config.model).expanduser().is_dir() else config.model
    try:
        return WanVACEPipeline.from_pretrained(
            source,
            transformer=None,
            vae=None,
            scheduler=None,
            dtype=DTYPES[config.dtype],
            use_safetensors=True,
        )
    except Exception as err:  # diffusers and transformers raise nearly anything for a damaged folder
        raise SynthesisError(
            f"the text encoder of {config.model} cannot be loaded ({first_line(err)}); {HELP}"
        ) from err


def _roomy(encoder: torch.nn.Module, device: str) -> str:
    """Return ``device`` where the encoder fits its free memory, else the CPU: it runs only once."""
    if not device.startswith("cuda"):
        return "cpu"
    return device if weight_bytes(encoder) + 2 * GIGA < torch.cuda.mem_get_info(device)[0] else "cpu"


def _of_width(embedding: Tensor, width: int, config: WanConfig) -> Tensor:
    if embedding.shape[-1] != width:
        raise SynthesisError(
            f"the text encoder of {config.model} gives {embedding.shape[-1]} channels and its transformer "
            f"takes {width}: they belong to different models"
        )
    return embedding
