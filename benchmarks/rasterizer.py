"""Time one optimisation step of the CPU rasterizer beside the PyTorch reference.

    python benchmarks/rasterizer.py [--json FILE] [--repeats N] [--no-reference]

The scene: Gaussians uniform in a box of 16 x 12 x 2 m centred 8 m ahead, linear scales uniform in 0.02
to 0.08 m, opacity 0.73, SH degree 0; 90 degrees of horizontal field of view; the loss is the mean square
difference to a random image. A step is projection, forward, loss, backward and Adam. Medians are of all
repetitions; minima say more on a machine that others use. The reference draws every Gaussian at every
pixel: it is timed on a sample of pixels and scaled to all of them.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.splatting import reference
from reconx_ros.splatting.cpu import autograd, passes
from reconx_ros.splatting.cpu.adam import adam_step
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

SCENES = ((10_000, 320, 240), (50_000, 320, 240), (50_000, 640, 480))
WARM_UP = 3
SAMPLED_CHUNKS = 8
Row = dict[str, str | int | float]
Times = dict[str, list[float]]


def box(count: int, width: int, height: int) -> tuple[GaussianMap, Camera]:
    """Return the Gaussians and the camera."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.uniform([-8, -6, 7], [8, 6, 9], (count, 3)),
        np.log(rng.uniform(0.02, 0.08, (count, 3))),
        rng.normal(size=(count, 4)),
        np.full(count, np.log(0.73 / 0.27)),
        (rng.uniform(size=(count, 1, 3)) - 0.5) / 0.28209479,
        np.ones(count),
    )
    single = [array.astype(np.float32) for array in arrays]
    focal = width / 2
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    return GaussianMap(*single, np.zeros(count, np.uint8)), Camera(intrinsics, np.eye(4), width, height)


def timed(times: Times, name: str, work: Callable[[], object]) -> object:
    """Run ``work`` and note its milliseconds."""
    start = time.perf_counter()
    result = work()
    times.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
    return result


def steps(gaussians: GaussianMap, camera: Camera, repeats: int) -> Times:
    """Time whole steps: total, forward (with projection), backward and Adam."""
    parameters = GaussianParameters.from_map(gaussians, requires_grad=True)
    target = torch.rand(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(0))
    moments = [(torch.zeros_like(t), torch.zeros_like(t)) for t in parameters.tensors()]
    times: Times = {}

    def update(count: int) -> None:
        with torch.no_grad():
            for tensor, (m, v) in zip(parameters.tensors(), moments, strict=True):
                adam_step(tensor, tensor.grad, m, v, count, 1e-4)
                tensor.grad = None

    def step(count: int) -> None:
        rendered = timed(times, "forward", lambda: rasterize(parameters, camera, backend="cpu"))
        loss = (rendered.color - target).square().mean()
        timed(times, "backward", loss.backward)
        timed(times, "adam", lambda: update(count))

    for count in range(1, repeats + WARM_UP + 1):
        timed(times, "step", lambda count=count: step(count))
    return {name: values[WARM_UP:] for name, values in times.items()}


def stages(gaussians: GaussianMap, camera: Camera, repeats: int) -> Times:
    """Time the stages of the forward and the backward pass on their own."""
    tensors = GaussianParameters.from_map(gaussians).tensors()
    state = passes.Pass([autograd._flat(t) for t in tensors], camera, np.zeros(3, np.float32), 0, False)
    image, visible = autograd._forward(state)
    outputs = [tensor.numpy() for tensor in image]
    upstream = [np.random.default_rng(0).random(output.shape, np.float32) for output in outputs]
    gradients = [np.empty_like(flat) for flat in state.inputs]
    times: Times = {}
    for _ in range(repeats):
        timed(times, "project", lambda: passes.project_all(state))
        timed(times, "sort", lambda: passes.build_lists(state, visible))
        timed(times, "composite", lambda: passes.draw(state, *outputs))
        slots = timed(times, "composite_backward", lambda: passes.draw_backward(state, *upstream))
        timed(
            times,
            "project_backward",
            lambda slots=slots: passes.project_all_backward(state, slots, gradients),
        )
    return times


def reference_step(gaussians: GaussianMap, camera: Camera) -> tuple[float, float]:
    """Return the milliseconds of a reference step and the share of pixels it was measured on."""
    parameters = GaussianParameters.from_map(gaussians, requires_grad=True)
    optimiser = torch.optim.Adam(parameters.tensors(), lr=1e-4)
    size = reference.PAIRS_AT_ONCE // len(gaussians)
    share = min(1.0, size / (camera.width * camera.height))

    def step(pixels: torch.Tensor) -> float:
        start = time.perf_counter()
        p = reference.project(parameters, camera, 0, False)
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


def row(count: int, width: int, height: int, repeats: int, with_reference: bool) -> Row:
    """Measure one scene."""
    gaussians, camera = box(count, width, height)
    times = steps(gaussians, camera, repeats) | stages(gaussians, camera, repeats)
    result: Row = {"scene": "box", "gaussians": count, "width": width, "height": height}
    for name, values in times.items():
        result[f"{name}_ms"] = round(statistics.median(values), 3)
        result[f"{name}_min_ms"] = round(min(values), 3)
    if with_reference:
        slow, share = reference_step(gaussians, camera)
        result |= {"reference_ms": round(slow, 1), "reference_pixel_share": round(share, 5)}
        result["ratio_reference"] = round(slow / float(result["step_ms"]), 1)
    return result


def table(rows: list[Row]) -> str:
    """Lay the rows out: median (minimum) in milliseconds."""
    names = ("step", "forward", "backward", "adam", "project", "sort", "composite")
    names += ("composite_backward", "project_backward")
    lines = []
    for r in rows:
        lines.append(f"{r['gaussians']} Gaussians, {r['width']} x {r['height']}")
        lines += [f"  {n:20}{r[f'{n}_ms']:9.2f} ms   (min {r[f'{n}_min_ms']:.2f})" for n in names]
        if "reference_ms" in r:
            share = 100 * float(r["reference_pixel_share"])
            lines.append(
                f"  {'reference step':20}{r['reference_ms']:9.0f} ms   from {share:.2g} % of the pixels; "
                f"{r['ratio_reference']:.0f} times the CPU rasterizer's"
            )
    return "\n".join(lines)


def main() -> None:
    """Print the table; write the rows on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-reference", action="store_true", help="skip the reference (half a minute)")
    arguments = parser.parse_args()
    rows = [row(*scene, arguments.repeats, not arguments.no_reference) for scene in SCENES]
    threads = f"{numba.get_num_threads()} numba threads, threading layer {numba.threading_layer()}"
    print(f"{threads}\n{table(rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"threads": numba.get_num_threads(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
