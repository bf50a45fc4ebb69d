"""Time Wan-VACE 1.3B on a GPU: seconds a clip and peak memory, without and with the structure branch.

    python benchmarks/gpu/wan_vace.py [--json FILE] [--stages plain structure ...] [--again]
                                      [--frames N] [--size HEIGHT WIDTH] [--steps N] [--tiny]

Runs from a bare checkout with torch, diffusers, transformers, safetensors, numpy, numba, OpenCV, pydantic
and pillow; no ROS, no weights and no network: the weights are random, which costs the same time. A stage
films one clip after a short warm-up: ``plain``, ``structure`` (guided like the prompt, no extra pass),
``guided`` (structure guided apart, a third pass a step), ``tiled`` (VAE in tiles). What is done stands in
FILE after each stage, and a second run goes on with the others. CUDA is needed; ``--tiny`` makes the
network small and runs on the CPU, to try the script: its times say nothing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from resume import held, kept

from reconx_ros.diffusion.wan.conditions import Conditions
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.film import Film, NotFinite
from reconx_ros.diffusion.wan.memory import weight_bytes
from reconx_ros.diffusion.wan.structure_attention import StructureAttention
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.studio import installed
from reconx_ros.machine import processor_name, ran_out_of_memory
from reconx_ros.structure.encoder import EncoderConfig

STAGES = ("plain", "structure", "guided", "tiled")
PUBLISHED: dict[str, Any] = {
    "num_attention_heads": 12,
    "attention_head_dim": 128,
    "ffn_dim": 8960,
    "num_layers": 30,
    "text_dim": 4096,
    "vace_layers": list(range(0, 30, 2)),
}
TINY: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "ffn_dim": 32,
    "num_layers": 2,
    "text_dim": 32,
    "vace_layers": [0],
}
TINY_VAE: dict[str, Any] = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
FLOAT32 = ("rope", "time_embedder", "scale_shift_table", "norm1", "norm2", "norm3")
"""Parts that diffusers keeps in float32 when it loads half precision."""

TOKENS = EncoderConfig(tokens=1024, width=256)
GIGA = 2**30


def random_film(tiny: bool, device: torch.device, steps: int) -> Film:
    """Return the pipeline with random weights and a random prompt, bfloat16, with its structure branch."""
    from diffusers import (  # noqa: PLC0415
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanVACEPipeline,
        WanVACETransformer3DModel,
    )

    torch.manual_seed(0)
    sizes = TINY if tiny else PUBLISHED
    with device:
        transformer = WanVACETransformer3DModel(**sizes).eval().requires_grad_(False)
        vae = AutoencoderKLWan(**(TINY_VAE if tiny else {})).eval().requires_grad_(False)
        branch = StructureBranch.for_transformer(transformer, TOKENS).requires_grad_(False)
    for name, parameter in transformer.named_parameters():
        if not any(part in name for part in FLOAT32):
            parameter.data = parameter.data.bfloat16()
    for attention in branch.attentions:
        assert isinstance(attention, StructureAttention), "the branch holds nothing else"
        attention.gate.weight.fill_(0.5)
    installed(branch, transformer, torch.bfloat16, str(device))
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    pipeline = WanVACEPipeline(
        tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, scheduler=scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    prompt, negative = torch.randn(2, 1, 512, sizes["text_dim"]).bfloat16().unbind()
    return Film(pipeline, prompt, negative, branch, WanConfig(steps=steps))


def random_clip(frames: int, size: tuple[int, int]) -> tuple[Conditions, list[Image.Image]]:
    """Return a clip with a hole in the middle of all frames but the first, and two whole images."""
    height, width = size
    known = torch.ones(frames, 1, height, width)
    known[1:, :, height // 4 : -height // 4, width // 4 : -width // 4] = 0
    image = torch.rand(frames, 3, height, width)
    photo = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    given = Conditions(image, known, known, 2 * known, {0: 0})
    return given, [Image.fromarray(photo)] * min(2, given.latents)


def waited(device: torch.device) -> float:
    """Return the time once the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def filmed(
    film: Film, stage: str, frames: int, size: tuple[int, int], device: torch.device
) -> dict[str, float]:
    """Film one clip of a stage, after a warm-up of one step; return seconds and peak memory."""
    given, images = random_clip(frames, size)
    tokens = (
        torch.randn(1, TOKENS.tokens, TOKENS.width, device=device)
        if stage in ("structure", "guided")
        else None
    )
    film.pipeline.vae.enable_tiling() if stage == "tiled" else film.pipeline.vae.disable_tiling()
    apart = 2.0 if stage == "guided" else None
    config = film.config.model_copy(update={"structure_guidance": apart})
    replace(film, config=config.model_copy(update={"steps": 1}))(given, images, tokens, 0, lambda _: True)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    at = [waited(device)]

    def step(_: int) -> bool:
        at.append(waited(device))
        return True

    replace(film, config=config)(given, images, tokens, 0, step)
    at.append(waited(device))
    found = {
        "clip_s": at[-1] - at[0],
        "encode_and_first_step_s": at[1] - at[0],
        "decode_s": at[-1] - at[-2],
    }
    if len(at) > 3:
        found["step_s"] = (at[-2] - at[1]) / (len(at) - 3)
    if device.type == "cuda":
        found["peak_memory_gb"] = torch.cuda.max_memory_allocated() / GIGA
        found["peak_reserved_gb"] = torch.cuda.max_memory_reserved() / GIGA
    return {name: round(value, 4) for name, value in found.items()}


def tried(
    film: Film, stage: str, frames: int, size: tuple[int, int], device: torch.device
) -> dict[str, float] | dict[str, str]:
    """Return the figures of a stage, or why there are none: too little memory, or numbers that ran away."""
    try:
        return filmed(film, stage, frames, size, device)
    except NotFinite as err:
        return {"not_finite": str(err)}
    except Exception as err:  # cuBLAS and cuDNN have their own way to say it
        if not ran_out_of_memory(err):
            raise
        return {"out_of_memory": str(err).splitlines()[0]}


def begun(file: Path | None, what: dict[str, Any], again: bool) -> dict[str, Any]:
    """Return what ``file`` already holds of the same run, else a new result, with its ``stages``."""
    result = held(file, what, again)
    result.setdefault("stages", {})
    return result


def parsed() -> argparse.Namespace:
    """Return the arguments; ends where they make no sense or no GPU is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--again", action="store_true", help="measure what stands in FILE again")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    if arguments.frames % 4 != 1 or arguments.frames < 1:
        parser.error(f"--frames {arguments.frames} is not 4k + 1")
    if any(side % 16 or side < 16 for side in arguments.size):
        parser.error(f"--size {arguments.size[0]} {arguments.size[1]}: multiples of 16 are needed")
    if arguments.steps < 1:
        parser.error(f"--steps {arguments.steps}: at least 1 is needed")
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error("no CUDA device: this measures a GPU (--tiny tries the script on the CPU)")
    return arguments


def main() -> None:
    """Print the figures as JSON; write them on demand."""
    arguments = parsed()
    device = torch.device("cpu" if arguments.tiny else "cuda")
    what: dict[str, Any] = {
        "model": "tiny, random weights"
        if arguments.tiny
        else "Wan-VACE 1.3B, random weights, bf16, VAE fp32",
        "device": processor_name() if arguments.tiny else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "frames": arguments.frames,
        "size": list(arguments.size),
        "steps": arguments.steps,
        "guidance": WanConfig().guidance,
    }
    result = begun(arguments.json, what, arguments.again)
    wanted = [stage for stage in arguments.stages if stage not in result["stages"]]
    if wanted:
        film = random_film(arguments.tiny, device, arguments.steps)
        parts = (film.pipeline.transformer, film.pipeline.vae, film.branch)
        names = ("transformer_and_attentions_gb", "vae_gb", "branch_gb")
        result["weights"] = {n: round(weight_bytes(p) / GIGA, 3) for n, p in zip(names, parts, strict=True)}
    for stage in wanted:
        result["stages"][stage] = tried(film, stage, arguments.frames, tuple(arguments.size), device)
        kept(arguments.json, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
