"""Time conditioning renders: torch operations beside the compiled stages.

    python benchmarks/conditioning.py [--json FILE] [--repeats N] [--size WIDTHxHEIGHT] [--device cpu|cuda]

The scene: a tilted wall behind a box, 1% depth noise, 3% of the depths unknown. Two references are warped,
each apart, into 8 cameras between them. A render is one camera with both references. Medians are of all
repetitions; minima say more on a machine that others use.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from reconx_ros.structure import warp as warping
from reconx_ros.structure.closing import close, close_batched
from reconx_ros.structure.conditioning import warp_references
from reconx_ros.structure.sampling import sample, sample_batched
from reconx_ros.structure.zbuffer import draw, draw_batched

FRAMES = 8
STAGES: dict[str, dict[str, Any]] = {
    "compiled": {"draw": draw, "close": close, "sample": sample},
    "torch": {"draw": draw_batched, "close": close_batched, "sample": sample_batched},
}
OPTIONS = {
    "plain": {"overscan": 0.0, "guess": False},
    "overscan": {"overscan": 0.25, "guess": False},
    "overscan, guess": {"overscan": 0.25, "guess": True},
}


def scene(width: int, height: int, device: str) -> dict[str, Tensor]:
    """Return the tensors that ``warp_references`` takes."""
    generator = torch.Generator().manual_seed(0)
    depth = 2 + torch.linspace(0, 1, height)[:, None].repeat(1, width)
    depth[height // 3 : -height // 3, width // 3 : -width // 3] = 1.2
    depth = depth * (1 + 0.01 * torch.randn(2, 1, height, width, generator=generator))
    depth[torch.rand(depth.shape, generator=generator) < 0.03] = torch.nan
    focal = 0.82 * width
    intrinsics = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    poses = torch.eye(4).repeat(FRAMES, 1, 1)
    poses[:, 0, 3] = torch.linspace(0, 0.3, FRAMES)
    tensors = {
        "color": torch.rand(1, 2, 3, height, width, generator=generator),
        "depth": depth[None],
        "intrinsics": intrinsics.expand(1, 2, 3, 3),
        "world_from_camera": poses[None, [0, -1]],
        "target_intrinsics": intrinsics.expand(1, FRAMES, 3, 3),
        "target_world_from_camera": poses[None],
    }
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def measure(
    given: dict[str, Tensor], size: tuple[int, int], repeats: int, **options: object
) -> list[float]:
    """Return the milliseconds a render of each repetition, the first (compilation) left out."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        warp_references(**given, size=size, **options)  # type: ignore[arg-type]
        if given["color"].is_cuda:
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start) / FRAMES)
    return times[1:]


def main() -> None:
    """Measure and print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", default="256x192", help="WIDTHxHEIGHT of the target frames")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    given = scene(width, height, arguments.device)
    result: dict[str, object] = {"size": arguments.size, "device": arguments.device}
    result["threads"] = torch.get_num_threads()
    for stages, functions in STAGES.items():
        if arguments.device == "cuda" and stages == "compiled":
            continue
        for name, options in OPTIONS.items():
            with patch.multiple(warping, **functions):
                times = measure(given, (height, width), arguments.repeats, **options)
            median, least = statistics.median(times), min(times)
            rate = f"{median:7.1f} ms, {1000 / median:6.1f} renders/s (least {least:.1f} ms)"
            print(f"{stages:9} {name:16} {rate}")
            result[f"{stages}, {name}"] = {"median_ms": median, "least_ms": least}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
