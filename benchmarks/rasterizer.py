"""Time training steps of the CPU rasterizer, stage by stage, and say what bounds them.

    python benchmarks/rasterizer.py [--map FOLDER]... [--json FILE] [--repeats N] [--no-reference]

The scenes: Gaussians in a box (``scenes.box``), and the maps of run folders, each seen by its middle
keyframe, which any source gives:

    reconx reconstruct SOURCE --output FOLDER --config FILE    # FILE: splatting: {steps: 500, ...}

The loss of the two kinds of step is the mean square difference to a random image. ``step`` goes around
autograd (``cpu.step.Frame``), ``step_autograd`` through it. ``loss`` is that of training (L1, D-SSIM, depth
and coverage). Medians are of all repetitions. On a machine that others use, minima and the time of all
cores together say more: the latter over the cores is what a quiet machine takes. The reference draws every
Gaussian at every pixel: it is timed on a sample of pixels and scaled to all of them.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numba
import numpy as np
import torch
from arithmetic import FLOPS, evaluations, peak_gflops
from numpy.typing import NDArray
from scenes import box, from_folder

from reconx_ros.camera import Camera
from reconx_ros.machine import processor_name
from reconx_ros.splatting import reference
from reconx_ros.splatting.adam import GaussianAdam, Rates
from reconx_ros.splatting.cpu import loss as loss_kernels
from reconx_ros.splatting.cpu import passes
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.loss import LossWeights, Target, view_loss
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

SCENES = ((10_000, 320, 240), (50_000, 320, 240), (50_000, 640, 480))
WARM_UP = 3
SAMPLED_CHUNKS = 8
RATES = Rates(*(1e-4 for _ in range(6)))
WEIGHTS = LossWeights(0.2, 0.2, 0.05)
STAGES = (
    "project", "sort", "lists", "composite", "loss", "composite_backward", "project_backward", "adam",
    "project_update", "render", "render_contribution",
)  # fmt: skip
Row = dict[str, str | int | float]
Times = dict[str, list[tuple[float, float]]]


def timed(times: Times, name: str, work: Callable[[], object]) -> None:
    """Run ``work`` and note its milliseconds: of the clock on the wall, and of all cores together."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    cores = 1e3 * (time.process_time() - busy)
    times.setdefault(name, []).append((1e3 * (time.perf_counter() - start), cores))


def steps(gaussians: GaussianMap, camera: Camera, repeats: int) -> tuple[Times, dict[str, float]]:
    """Time whole steps both ways; return also how many pages of memory a step touches first."""
    target = torch.rand(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(0))
    times: Times = {}

    def around(parameters: GaussianParameters, adam: GaussianAdam) -> None:
        frame = Frame(parameters, camera)
        frame.color.grad = (frame.color.detach() - target).mul_(2 / target.numel())
        frame.step(adam, RATES)

    def through(parameters: GaussianParameters, adam: GaussianAdam) -> None:
        rendered = rasterize(parameters, camera, backend="cpu")
        torch.autograd.backward((rendered.color - target).square().mean())
        adam.step(parameters, rendered.visible, RATES)

    ways: tuple[tuple[str, Callable[[GaussianParameters, GaussianAdam], None]], ...]
    ways, faults = (("step", around), ("step_autograd", through)), dict[str, float]()
    for name, step in ways:
        parameters = GaussianParameters.from_map(gaussians, requires_grad=True)
        adam = GaussianAdam(parameters)
        for _ in range(WARM_UP):
            step(parameters, adam)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(repeats):
            timed(times, name, partial(step, parameters, adam))
        faults[f"{name}_faults"] = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / repeats
    return times, faults


def training_target(camera: Camera) -> Target:
    """Return a random view to train on."""
    rng, size = np.random.default_rng(0), (camera.height, camera.width)
    image, weight = rng.random((*size, 3), np.float32), np.ones(size, np.float32)
    depth = torch.from_numpy(rng.uniform(1, 9, size).astype(np.float32))
    work = loss_kernels.Workspace(*size)
    return Target(torch.from_numpy(image), torch.from_numpy(weight), depth, work)


def shares(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a gradient for ``output`` as that of a mean: each element's part of it."""
    drawn = np.random.default_rng(0).random(output.shape, np.float32)
    return drawn / np.float32(output.size)


def stages(gaussians: GaussianMap, camera: Camera, repeats: int) -> tuple[Times, dict[str, float]]:
    """Time the stages of a step on their own; return also what they evaluate."""
    parameters = GaussianParameters.from_map(gaussians)
    frame, adam, target = Frame(parameters, camera), GaussianAdam(parameters), training_target(camera)
    state, visible = frame._pass, frame.visible.numpy()
    color, depth, alpha = (
        t.detach().clone().requires_grad_() for t in (frame.color, frame.depth, frame.alpha)
    )
    image = color.detach().numpy(), depth.detach().numpy(), alpha.detach().numpy()
    upstream = shares(image[0]), shares(image[1]), shares(image[2])
    gradients = [np.empty_like(flat) for flat in state.inputs]
    for tensor, gradient in zip(parameters.tensors(), gradients, strict=True):
        tensor.grad = torch.from_numpy(gradient).view(tensor.shape)
    kept = [tensor.grad for tensor in parameters.tensors()]
    order = passes.sort_by_depth(state, visible)
    slots = passes.draw_backward(state, image, upstream)
    times: Times = {}

    def adam_step() -> None:
        for tensor, gradient in zip(parameters.tensors(), kept, strict=True):
            tensor.grad = gradient
        adam.step(parameters, frame.visible, RATES)

    work: dict[str, Callable[[], object]] = {
        "project": lambda: passes.project_all(state),
        "sort": lambda: passes.sort_by_depth(state, visible),
        "lists": lambda: passes.fill_lists(state, order),
        "composite": lambda: passes.draw(state, image),
        "loss": lambda: torch.autograd.backward(view_loss(color, depth, alpha, target, WEIGHTS)),
        "composite_backward": lambda: passes.draw_backward(state, image, upstream),
        "project_backward": lambda: passes.project_all_backward(state, slots, gradients),
        "adam": adam_step,
        "project_update": lambda: frame._sweep(slots, adam, RATES),
        "render": lambda: rasterize(parameters, camera, backend="cpu"),
        "render_contribution": lambda: rasterize(parameters, camera, backend="cpu", contribution=True),
    }
    for name, one in work.items():  # each on its own: others would change what is in the caches
        one()
        for _ in range(repeats):
            timed(times, name, one)
    return times, evaluations(state)


def reference_step(gaussians: GaussianMap, camera: Camera) -> tuple[float, float]:
    """Return the milliseconds of a reference step and the share of pixels it was measured on."""
    parameters = GaussianParameters.from_map(gaussians, requires_grad=True)
    optimiser = torch.optim.Adam(parameters.tensors(), lr=1e-4)
    size = min(max(1, reference.PAIRS_AT_ONCE // len(gaussians)), camera.width * camera.height)
    share = size / (camera.width * camera.height)

    def step(pixels: torch.Tensor) -> float:
        start = time.perf_counter()
        p = reference.project(parameters, camera, parameters.sh_degree, False)
        order = p.depths.argsort(stable=True)
        p = reference.Projection(*(tensor[order] for tensor in vars(p).values()))
        leaves = [tensor.detach().requires_grad_() for tensor in vars(p).values()]
        drawn = time.perf_counter()
        weight = reference.weights(reference.alphas(reference.Projection(*leaves), pixels))
        (weight @ leaves[4]).square().mean().backward()
        pixel_time = time.perf_counter() - drawn
        torch.autograd.backward(list(vars(p).values()), [leaf.grad for leaf in leaves[:2]] + [
            torch.zeros_like(leaves[2]), leaves[3].grad, leaves[4].grad
        ])  # fmt: skip
        optimiser.step()
        optimiser.zero_grad()
        fixed = time.perf_counter() - start - pixel_time
        return 1e3 * (fixed + pixel_time / share)

    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(camera.width), np.arange(camera.height)), -1).reshape(-1, 2)
    chunks = [grid[rng.choice(len(grid), size, replace=False)] for _ in range(SAMPLED_CHUNKS + 1)]
    measured = [step(torch.tensor(chunk, dtype=torch.float32)) for chunk in chunks]
    return min(measured[1:]), share * SAMPLED_CHUNKS


def row(
    name: str, scene: tuple[GaussianMap, Camera], repeats: int, with_reference: bool, peak: float
) -> Row:
    """Measure one scene."""
    gaussians, camera = scene
    alone, counts = stages(gaussians, camera, repeats)
    whole, faults = steps(gaussians, camera, repeats)
    result: Row = {
        "scene": name, "gaussians": len(gaussians), "width": camera.width, "height": camera.height,
        "sh_degree": gaussians.sh_degree, **counts, **faults,
    }  # fmt: skip
    for stage, values in (whole | alone).items():
        wall, cores = zip(*values, strict=True)
        result[f"{stage}_ms"] = round(statistics.median(wall), 3)
        result[f"{stage}_min_ms"] = round(min(wall), 3)
        result[f"{stage}_core_ms"] = round(min(cores), 3)
    for stage, flops in FLOPS.items():
        rate = counts["evaluations"] / (1e6 * float(result[f"{stage}_core_ms"]))
        result[f"{stage}_giga_evaluations_per_core_s"] = round(rate, 3)
        result[f"{stage}_share_of_peak"] = round(rate * flops / peak, 3)
    if with_reference:
        slow, share = reference_step(gaussians, camera)
        result |= {"reference_ms": round(slow, 1), "reference_pixel_share": round(share, 5)}
        result["ratio_reference"] = round(slow / float(result["step_ms"]), 1)
    return result


def table(rows: list[Row]) -> str:
    """Lay the rows out: median (minimum, and least time of all cores together) in milliseconds."""
    lines = []
    for r in rows:
        lines.append(f"{r['scene']}: {r['gaussians']} Gaussians, {r['width']} x {r['height']}")
        names = ("step", "step_autograd", *STAGES)
        columns = [(n, *(r[f"{n}_{what}"] for what in ("ms", "min_ms", "core_ms"))) for n in names]
        lines += [f"  {n:20}{ms:9.2f} ms   (min {low:.2f}, cores {c:.2f})" for n, ms, low, c in columns]
        for n in FLOPS:
            rate, share = float(r[f"{n}_giga_evaluations_per_core_s"]), float(r[f"{n}_share_of_peak"])
            lines.append(f"  {n:20}{rate:9.2f} G evaluations/s a core, {share:.0%} of the arithmetic peak")
        lines.append(
            f"  of {r['evaluations']} evaluations {r['useful_share']:.0%} have alpha >= 1/255; "
            f"{r['step_faults']:.0f} pages a step ({r['step_autograd_faults']:.0f} through autograd)"
        )
        if "reference_ms" in r:
            share = 100 * float(r["reference_pixel_share"])
            lines.append(
                f"  {'reference step':20}{r['reference_ms']:9.0f} ms   from {share:.2g} % of the pixels; "
                f"{r['ratio_reference']:.0f} times the CPU rasterizer's"
            )
    return "\n".join(lines)


def machine(peak: float) -> Row:
    """Return what the figures were taken on."""
    return {
        "processor": processor_name(),
        "threads": numba.get_num_threads(),
        "threading_layer": numba.threading_layer(),
        "peak_gflops_per_core": round(peak, 1),
    }


def main() -> None:
    """Print the table; write the rows on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--map", type=Path, action="append", default=[], help="run folder to time as well")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-box", action="store_true", help="only the maps")
    parser.add_argument("--no-reference", action="store_true", help="skip the reference (half a minute)")
    arguments = parser.parse_args()
    peak = peak_gflops()
    scenes = [] if arguments.no_box else [("box", box(*scene)) for scene in SCENES]
    scenes += [(folder.name, from_folder(folder)) for folder in arguments.map]
    rows = [row(name, scene, arguments.repeats, not arguments.no_reference, peak) for name, scene in scenes]
    about = machine(peak)
    print(f"{about}\n{table(rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
