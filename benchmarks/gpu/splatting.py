"""The optimiser on a GPU: how far gsplat agrees with the CPU rasterizer, and what a step costs.

    python benchmarks/gpu/splatting.py [--json FILE] [--stages agreement step gsplat thousand] [--again]
                                       [--gaussians N ...] [--size WIDTH HEIGHT] [--repeats N]

Runs from a bare checkout with torch for CUDA, gsplat, numpy, numba, scipy, pydantic and OpenCV, with
fused-ssim where it is installed; no ROS, no data and no network. What is missing is said in one line. FILE
is written after each stage, and a stage that stands in it is not measured again.

- ``agreement``: the largest and the mean difference of colour, depth over alpha, and alpha between gsplat
  and the CPU rasterizer, and that of each parameter's gradient as a share of the largest; ``within`` says
  whether the image and the gradients keep to ``TOLERANCE``: once with opacities below 0.99, once with
  ``opaque`` ones as maps have them and ``CLIPPED`` for tolerance, and once for a view that sees nothing
  (``blind``). gsplat is compiled with fast-math, and 1.5 clips alpha at 0.999 where we clip at 0.99.
- ``step``: milliseconds of a training step of ours on eight views: with the defaults, and with the loss of
  3D Gaussian splatting alone (``lean``); the median of the second half of all steps.
- ``gsplat``: the same of a plain loop around gsplat's own ``rasterization`` (packed), fused SSIM and
  selective Adam where they are there, on the same Gaussians and views; ``ratio`` is ours over it.
- ``thousand``: seconds of 1,000 default steps, and PSNR on a view between those trained on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

try:
    # isort: split
    import argparse
    import json
    import statistics
    import time
    from dataclasses import replace

    import numpy as np
    import torch
    from resume import held, kept

    import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait
    from reconx_ros.camera import Camera
    from reconx_ros.geometry.protocol import OBSERVED
    from reconx_ros.splatting import gsplat_backend
    from reconx_ros.splatting.config import SplattingConfig
    from reconx_ros.splatting.cuda_kernels import adam_kernel, fused_ssim_map
    from reconx_ros.splatting.gaussians import GaussianMap
    from reconx_ros.splatting.loss import ssim
    from reconx_ros.splatting.optimise import GaussianOptimiser
    from reconx_ros.splatting.parameters import GaussianParameters
    from reconx_ros.splatting.rasterize import Backend, rasterize, render_view
    from reconx_ros.splatting.view import TrainingView
except ModuleNotFoundError as error:
    sys.exit(f"benchmarks/gpu/splatting.py: the Python module '{error.name}' is missing: install it")

STAGES = ("agreement", "step", "gsplat", "thousand")
TOLERANCE = {"image": 2e-3, "gradient": 1e-2}
"""Of the mean of each image, and of each parameter's gradient as a share of ours."""
CLIPPED = {"image": 2e-3, "gradient": 0.15}
"""The same where alphas beyond 0.99 are clipped elsewhere: opacities have another slope there."""
LEAN = {
    "dropout": 0.0,
    "gradient_weight": 0.0,
    "outliers": 0.0,
    "exposure": False,
    "depth_weight": 0.0,
    "coverage_weight": 0.0,
}
RATES = {"means": 1.6e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh": 2.5e-3}
Row = dict[str, float | int | bool | str]


def scene(count: int, degree: int = 3) -> GaussianMap:
    """Return coloured discs on a wavy wall 3 m ahead that fill the view, of opacities below 0.99."""
    rng = np.random.default_rng(0)
    means = rng.uniform([-2.2, -1.5, 0], [2.2, 1.5, 0.1], (count, 3))
    means[:, 2] += 3 + 0.4 * np.sin(3 * means[:, 0]) * np.cos(4 * means[:, 1])
    spacing = np.sqrt(4.4 * 3.0 / count)
    sh = rng.normal(0, 0.03, (count, (degree + 1) ** 2, 3))
    waves = np.array([[5, 3, 0], [4, -6, 0], [-7, 5, 0]])
    sh[:, 0] = 1.2 * np.sin(means @ waves.T)
    return GaussianMap(
        means.astype(np.float32),
        np.log(spacing * rng.uniform(0.4, 1.2, (count, 3))).astype(np.float32),
        rng.normal(size=(count, 4)).astype(np.float32),
        rng.uniform(-1, 4, count).astype(np.float32),
        sh.astype(np.float32),
        np.full(count, 0.8, np.float32),
        np.zeros(count, np.uint8),
    )


def opaque(gaussians: GaussianMap) -> GaussianMap:
    """Return a map with opacities from 0.98 to as close to one as the optimiser lets them come."""
    logits = np.random.default_rng(1).uniform(4, 12, len(gaussians))
    return replace(gaussians, opacity_logits=logits.astype(np.float32))


def away(view: Camera) -> Camera:
    """Return the camera turned round, so that it sees nothing."""
    return view.moved(np.diag([-1.0, 1.0, -1.0, 1.0]))


def cameras(size: tuple[int, int], count: int = 8) -> list[Camera]:
    """Return cameras on an arc before the wall, all looking ahead."""
    width, height = size
    matrix = np.array([[0.9 * width, 0, (width - 1) / 2], [0, 0.9 * width, (height - 1) / 2], [0, 0, 1]])
    made = []
    for number in range(count):
        pose = np.eye(4)
        pose[:3, 3] = (0.12 * (number - (count - 1) / 2), 0.05 * np.sin(number), 0.05 * np.cos(number))
        made.append(Camera(matrix, pose, width, height))
    return made


def agreement(
    gaussians: GaussianMap,
    view: Camera,
    backend: Backend = "gsplat",
    device: str = "cuda",
    tolerance: dict[str, float] = TOLERANCE,
) -> Row:
    """Compare a backend with the CPU rasterizer: images and gradients of a sum over all of them."""
    drawn = []
    both: tuple[tuple[str, Backend], ...] = (("cpu", "cpu"), (device, backend))
    for where, which in both:
        parameters = GaussianParameters.from_map(gaussians, where, requires_grad=True)
        rendered = rasterize(parameters, view, backend=which)
        shown = torch.where(rendered.alpha > 0.5, rendered.depth / rendered.alpha.clamp(min=0.5), 0)
        weight = torch.rand(view.height, view.width, generator=torch.Generator().manual_seed(0)).to(where)
        value = ((rendered.color.sum(-1) + rendered.depth + rendered.alpha) * weight).sum()
        torch.autograd.backward(value)
        made = rendered.color, shown, rendered.alpha
        slopes = [torch.zeros_like(t) if t.grad is None else t.grad for t in parameters.tensors()]
        drawn.append(([i.detach().cpu() for i in made], [slope.cpu() for slope in slopes]))
    (images, gradients), (other_images, other_gradients) = drawn
    result: Row = {"gaussians": len(gaussians)}
    for name, ours, theirs in zip(("color", "depth", "alpha"), images, other_images, strict=True):
        result[f"{name}_mean"] = float(f"{float((ours - theirs).abs().mean()):.3g}")
        result[f"{name}_largest"] = float(f"{float((ours - theirs).abs().max()):.3g}")
    worst = 0.0
    names = ("means", "log_scales", "quaternions", "opacities", "sh")
    for name, ours, theirs in zip(names, gradients, other_gradients, strict=True):
        share = float((ours - theirs).norm() / ours.norm().clamp(min=1e-30))
        result[f"gradient_{name}"], worst = float(f"{share:.3g}"), max(worst, share)
    image = max(float(result[f"{name}_mean"]) for name in ("color", "depth", "alpha"))
    result["within"] = image < tolerance["image"] and worst < tolerance["gradient"]
    return result


def agreements(
    gaussians: GaussianMap, view: Camera, backend: Backend = "gsplat", device: str = "cuda"
) -> Row:
    """Return the three rows of the stage as one."""
    rows = {
        "": agreement(gaussians, view, backend, device),
        "opaque_": agreement(opaque(gaussians), view, backend, device, CLIPPED),
        "blind_": agreement(gaussians, away(view), backend, device),
    }
    found: Row = {f"{kind}{name}": value for kind, row in rows.items() for name, value in row.items()}
    return found


def training_views(gaussians: GaussianMap, size: tuple[int, int], backend: Backend) -> list[TrainingView]:
    """Return what the cameras see of a map, of confidence 5."""
    views = []
    for camera in cameras(size):
        image, depth, _ = render_view(gaussians, camera, backend)
        sure = np.full(depth.shape, 5, np.float32)
        views.append(TrainingView(camera, image.clip(0, 1), sure, depth, OBSERVED))
    return views


def disturbed(gaussians: GaussianMap) -> GaussianMap:
    """Return a map to start from: grey where the truth is coloured."""
    return replace(gaussians, sh=np.zeros_like(gaussians.sh))


def optimiser(gaussians: GaussianMap, views: list[TrainingView], **settings: object) -> GaussianOptimiser:
    """Return an optimiser of a disturbed map on the GPU, or where ``device`` says."""
    device = str(settings.pop("device", "cuda"))
    config = SplattingConfig.model_validate({"max_gaussians": len(gaussians), **settings})
    made = GaussianOptimiser(disturbed(gaussians), config, device)
    made.add_views(views)
    return made


def waited() -> float:
    """Return the time once the device has nothing left to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def step_times(made: GaussianOptimiser, steps: int) -> float:
    """Return the median milliseconds of a step over the second half of some steps, ten at a time."""
    times = []
    for _ in range(max(steps // 10, 2)):
        start = waited()
        made.run(steps=10)
        times.append(1e2 * (waited() - start))
    return round(statistics.median(times[len(times) // 2 :]), 3)


def gsplat_loop(gaussians: GaussianMap, views: list[TrainingView], steps: int) -> tuple[float, Row]:
    """Return the milliseconds of a step of gsplat's own pieces, and which there are."""
    from gsplat import rasterization  # noqa: PLC0415

    try:
        from gsplat.optimizers import SelectiveAdam  # noqa: PLC0415
    except ImportError:
        SelectiveAdam = None  # noqa: N806 - a class
    parameters = GaussianParameters.from_map(disturbed(gaussians), "cuda", requires_grad=True)
    leaves = dict(zip(("means", "scales", "quats", "opacities", "sh"), parameters.tensors(), strict=True))
    groups = [{"params": [leaf], "lr": RATES[name]} for name, leaf in leaves.items()]
    made = [
        torch.optim.Adam([group], eps=1e-15, fused=True)
        if SelectiveAdam is None
        else SelectiveAdam([group], eps=1e-15, betas=(0.9, 0.999))
        for group in groups
    ]
    fused = fused_ssim_map(ssim)
    images = [torch.from_numpy(view.image).cuda() for view in views]
    times = []
    for step in range(steps):
        start = waited()
        view, target = views[step % len(views)], images[step % len(views)]
        color, _, meta = rasterization(
            **gsplat_backend.view_arguments(view.camera, leaves["means"]),
            means=leaves["means"], quats=leaves["quats"], scales=leaves["scales"].exp(),
            opacities=leaves["opacities"].sigmoid(), colors=leaves["sh"], sh_degree=parameters.sh_degree,
        )  # fmt: skip
        likeness = (fused or ssim)(color[0], target).mean()
        (0.8 * (color[0] - target).abs().mean() + 0.2 * (1 - likeness)).backward()
        visible = torch.zeros(len(gaussians), dtype=torch.bool, device="cuda")
        visible[meta["gaussian_ids"]] = True
        for one in made:
            one.step() if SelectiveAdam is None else one.step(visible)
            one.zero_grad(set_to_none=True)
        times.append(1e3 * (waited() - start))
    pieces: Row = {"fused_ssim": fused is not None, "selective_adam": SelectiveAdam is not None}
    return round(statistics.median(times[steps // 2 :]), 3), pieces


def psnr_between(
    made: GaussianOptimiser, truth: GaussianMap, size: tuple[int, int], backend: Backend
) -> float:
    """Return the PSNR of a view between the training ones."""
    middle = cameras(size, 1)[0]
    pictures = [render_view(one, middle, backend)[0] for one in (made.gaussians(), truth)]
    return round(float(-10 * np.log10(((pictures[0] - pictures[1]) ** 2).mean())), 2)


def measure(stage: str, count: int, size: tuple[int, int], repeats: int, result: dict[str, Row]) -> Row:
    """Return the figures of one stage for ``count`` Gaussians."""
    truth = scene(count)
    if stage == "agreement":
        return agreements(truth, cameras(size)[3])
    views = training_views(truth, size, "gsplat")
    if stage == "step":
        full, lean = (step_times(optimiser(truth, views, **s), repeats) for s in ({}, LEAN))
        return {"default_ms": full, "lean_ms": lean, "adam_kernel": adam_kernel() is not None}
    if stage == "gsplat":
        theirs, row = gsplat_loop(truth, views, repeats)
        ours = result.get(f"step {count}", {})
        for name in ("default", "lean"):
            if f"{name}_ms" in ours:
                row[f"ratio_{name}"] = round(float(ours[f"{name}_ms"]) / theirs, 2)
        return row | {"ms": theirs}
    made = optimiser(truth, views)
    start = waited()
    made.run(steps=1000)
    seconds = round(waited() - start, 2)
    return {"seconds": seconds, "psnr_between": psnr_between(made, truth, size, "gsplat")}


def main() -> None:
    """Print the figures as JSON; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--again", action="store_true", help="measure what stands in FILE again")
    parser.add_argument("--gaussians", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--size", type=int, nargs=2, default=[512, 320])
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    if (reason := gsplat_backend.missing()) is not None:
        sys.exit(f"benchmarks/gpu/splatting.py measures CUDA and cannot run here: {reason}")
    size = (arguments.size[0], arguments.size[1])
    what: dict[str, object] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    what |= {"size": list(size), "repeats": arguments.repeats}
    result = held(arguments.json, what, arguments.again)
    for count in arguments.gaussians:
        for stage in [stage for stage in arguments.stages if f"{stage} {count}" not in result]:
            torch.cuda.reset_peak_memory_stats()
            row = measure(stage, count, size, arguments.repeats, result)
            row["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
            result[f"{stage} {count}"] = row
            kept(arguments.json, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
