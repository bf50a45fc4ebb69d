"""Time the DUSt3R network at its full size, with random weights: encoder, decoder and heads apart.

    python benchmarks/dust3r.py [--json FILE] [--repeats N] [--size WIDTHxHEIGHT] [--head dpt|linear]
                                [--precision float32|bfloat16]

Random weights take the same time as trained ones. Medians are of all repetitions after one that is not
counted. A pair alone is two images encoded, one pair decoded, two heads; in a map each image is encoded
once and takes part in several pairs. Core-seconds over the number of cores are the seconds that an idle
machine would take.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from reconx_ros.geometry.dust3r.model import Architecture, Dust3r
from reconx_ros.machine import processor_name

Result = TypeVar("Result")
Times = dict[str, list[tuple[float, float]]]


def timed(times: Times, name: str, work: Callable[[], Result]) -> Result:
    """Run ``work`` and note its seconds and its core-seconds."""
    start, cores = time.perf_counter(), time.process_time()
    result = work()
    times.setdefault(name, []).append((time.perf_counter() - start, time.process_time() - cores))
    return result


@torch.inference_mode()
def measure(model: Dust3r, width: int, height: int, repeats: int) -> Times:
    """Return seconds and core-seconds of each stage, by repetition."""
    images = torch.rand(2, 1, 3, height, width) * 2 - 1
    times: Times = {}
    for _ in range(repeats + 1):
        views = [timed(times, "encode one image", partial(model.encode, image)) for image in images]
        tokens = timed(times, "decode a pair", partial(model.decode, *views))
        grids = (views[0].grid, views[1].grid)
        timed(times, "heads of a pair", partial(model.regress, tokens, grids))
    return {name: values[len(values) // (repeats + 1) :] for name, values in times.items()}


def main() -> None:
    """Print the medians; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", default="512x384", help="WIDTHxHEIGHT, multiples of 16")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--head", choices=("dpt", "linear"), default="dpt")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    torch.manual_seed(0)
    model = Dust3r(Architecture(head=arguments.head)).eval().requires_grad_(False)
    result: dict[str, Any] = {"machine": processor_name(), "threads": torch.get_num_threads()}
    result |= {"size": arguments.size, "head": arguments.head, "repeats": arguments.repeats}
    result["precision"] = arguments.precision
    model.cast_trunk(getattr(torch, arguments.precision))
    times = measure(model, width, height, arguments.repeats)
    rows = {stage: [statistics.median(part) for part in zip(*v, strict=True)] for stage, v in times.items()}
    alone = [sum(part) for part in zip(*rows.values(), rows["encode one image"], strict=True)]
    result["stages"] = {}
    for stage, (seconds, cores) in {**rows, "a pair alone": alone}.items():
        result["stages"][stage] = {"s": round(seconds, 2), "core_s": round(cores, 2)}
        print(f"  {stage:18} {seconds:6.2f} s, {cores:6.2f} core-seconds")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
