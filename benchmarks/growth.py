"""Time and memory of a training step of the CPU rasterizer over Gaussians and over pixels.

    python benchmarks/growth.py [--json FILE] [--plot FILE.png] [--repeats N]

The scene is ``scenes.box`` with an opacity of 0.1: with 0.73, as more Gaussians lie behind each other, more
would be hidden and cost nothing. Each point is a process of its own. A straight line through the points
is fitted by least squares of the relative error; its largest relative error is given beside it.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import torch
from scenes import box

from reconx_ros.camera import Camera
from reconx_ros.machine import processor_name
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.parameters import GaussianParameters

GAUSSIANS = (25_000, 50_000, 100_000, 200_000, 400_000)
SIZES = ((160, 120), (320, 240), (480, 360), (640, 480), (960, 720))
FIXED_GAUSSIANS, FIXED_SIZE = 50_000, (320, 240)
RATES = Rates(*(1e-4 for _ in range(6)))
Point = dict[str, float]


def measure(count: int, width: int, height: int, repeats: int) -> Point:
    """Return the milliseconds of a step and the memory it takes beyond what the process holds anyway."""
    gaussians, camera = box(count, width, height)
    gaussians = replace(gaussians, opacity_logits=np.full(count, np.log(0.1 / 0.9), np.float32))
    target = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(0))
    warm, small = box(100, 64, 48)
    _step(GaussianParameters.from_map(warm, requires_grad=True), small, torch.zeros(48, 64, 3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parameters = GaussianParameters.from_map(gaussians, requires_grad=True)
    adam = GaussianAdam(parameters)
    wall, cores = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        _step(parameters, camera, target, adam)
        cores.append(time.process_time() - busy)
        wall.append(time.perf_counter() - start)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "gaussians": count, "width": width, "height": height, "pixels": width * height,
        "step_min_ms": round(1e3 * min(wall), 3), "core_ms": round(1e3 * min(cores), 3),
        "memory_mib": round(memory, 2),
    }  # fmt: skip


def _step(
    parameters: GaussianParameters,
    camera: Camera,
    target: torch.Tensor,
    adam: GaussianAdam | None = None,
) -> None:
    frame = Frame(parameters, camera)
    frame.color.grad = (frame.color.detach() - target).mul_(2 / target.numel())
    frame.step(adam or GaussianAdam(parameters), RATES)


def apart(count: int, size: tuple[int, int], repeats: int) -> Point:
    """Measure in a process of its own: a peak of memory is one of the whole process."""
    arguments = [str(number) for number in (count, *size, repeats)]
    done = subprocess.run(
        [sys.executable, __file__, "--point", *arguments], capture_output=True, text=True, check=True
    )
    point: Point = json.loads(done.stdout)
    print(point, flush=True)
    return point


def line(points: list[Point], along: str, what: str) -> dict[str, float]:
    """Fit ``what`` = base + slope ``along``."""
    x, y = (np.array([point[name] for point in points]) for name in (along, what))
    base, slope = np.linalg.lstsq(np.stack([1 / y, x / y], axis=1), np.ones(len(x)), rcond=None)[0]
    error = np.abs((base + slope * x) / y - 1).max()
    return {"base": float(base), "slope": float(slope), "largest_relative_error": round(float(error), 4)}


def plot(series: dict[str, list[Point]], fits: dict[str, dict[str, dict[str, float]]], file: Path) -> None:
    """Draw points and lines."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 7), constrained_layout=True)
    for column, (along, points) in zip(axes.T, series.items(), strict=True):
        for axis, what in zip(column, ("core_ms", "memory_mib"), strict=True):
            x, fit = np.array([0, *(point[along] for point in points)]), fits[along][what]
            axis.plot(x, fit["base"] + fit["slope"] * x, color="0.7")
            axis.plot(x[1:], [point[what] for point in points], "o")
            axis.set(xlabel=along, ylabel=what, xlim=(0, None), ylim=(0, None))
            axis.locator_params(axis="x", nbins=4)
            axis.set_title(f"line within {fit['largest_relative_error']:.1%}", fontsize=10)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Print the points and the lines; write and draw them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write points and lines to this file")
    parser.add_argument("--plot", type=Path, help="also draw them into this PNG")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--point", type=int, nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure(*arguments.point)))
        return
    series = {
        "gaussians": [apart(count, FIXED_SIZE, arguments.repeats) for count in GAUSSIANS],
        "pixels": [apart(FIXED_GAUSSIANS, size, arguments.repeats) for size in SIZES],
    }
    fits = {
        along: {what: line(points, along, what) for what in ("core_ms", "memory_mib")}
        for along, points in series.items()
    }
    print(json.dumps(fits, indent=2))
    if arguments.plot:
        plot(series, fits, arguments.plot)
    if arguments.json:
        machine = {"processor": processor_name(), "threads": numba.get_num_threads()}
        arguments.json.write_text(json.dumps({**machine, **series, "lines": fits}, indent=2) + "\n")


if __name__ == "__main__":
    main()
