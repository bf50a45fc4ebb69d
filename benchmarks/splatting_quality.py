r"""What each part of the optimiser brings on held-out views, from the same cameras and the same cloud.

    python benchmarks/splatting_quality.py ../shared/data/redkitchen_bag --inputs 4,8 \\
        --variant 'no dropout: dropout=0' --variant plain

A variant is a name and settings of the splatting section; ``base`` is the preset as it is, ``plain`` is
3D Gaussian splatting as published (Kerbl et al. 2023) from the same cloud, without densification. Every
variant of a case starts from the same geometry, which is made once. Figures are over whole views and over
the pixels the inputs see (``covered``), at the size of the recording, or of the inputs with ``--width``;
``bare`` is without developing. ``--corrupt`` pastes pieces of other views into every third input;
``--rough DEGREES,METRES,FOCAL`` turns and shifts each input camera by random errors of these standard
deviations (of the whole turn and shift) and makes all focal lengths wrong by the share FOCAL.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.evaluation.baselines import PointsBaseline
from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.hold_out import parse_hold_out
from reconx_ros.evaluation.metrics import Image, Mask, colour_corrected, psnr, ssim
from reconx_ros.evaluation.split import Split, read_split
from reconx_ros.geometry.choose import choose_geometry, without_unused_depth
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.protocol import GeometryEstimate, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.grow import grown
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.refine import refined
from reconx_ros.splatting.reproject import reprojected_views
from reconx_ros.splatting.views import observed_views


@dataclass(frozen=True, eq=False)
class Case:
    """Inputs, what geometry made of them, and the truth."""

    name: str
    split: Split
    estimate: GeometryEstimate
    cloud: PointCloud
    covered: list[Mask]


PLAIN: dict[str, Any] = {
    "dropout": 0, "gradient_weight": 0, "pseudo_views": 0, "guess_stride": 0, "depth_weight": 0,
    "coverage_weight": 0, "exposure": False, "sh_interval": 1000, "outliers": 0,
    "initial": {"thickness": 1.0, "opacity": 0.1},
    "limits": {"max_growth": 1e6, "max_anisotropy": 1e6, "max_scale": 1e3},
    "rates": {
        "means": 1.6e-4, "final": 1, "scales": 5e-3, "rotations": 1e-3, "opacities": 5e-2,
        "colours": 2.5e-3, "harmonics": 1.25e-4,
    },
}  # fmt: skip


def corrupted(keyframes: Sequence[Keyframe]) -> list[Keyframe]:
    """Return the views with three pieces of others, a sixteenth of the image each, in every third."""
    rng, made = np.random.default_rng(1), list(keyframes)
    for number in range(1, len(made), 3):
        image = made[number].image.copy()
        height, width = image.shape[0] // 4, image.shape[1] // 4
        for _ in range(3):
            row, column, y, x = rng.integers(0, 3 * np.array([height, width, height, width]))
            other = keyframes[int(rng.integers(len(made)))].image
            image[row : row + height, column : column + width] = other[y : y + height, x : x + width]
        made[number] = replace(made[number], image=image)
    return made


def roughened(keyframes: Sequence[Keyframe], degrees: float, metres: float, focal: float) -> list[Keyframe]:
    """Return the views with wrong cameras."""
    rng, made = np.random.default_rng(1), []
    for view in keyframes:
        errors = [*rng.normal(0, metres, 3), *rng.normal(0, np.radians(degrees), 3)] / np.sqrt(3)
        correction = torch.tensor([*errors, *np.log1p([focal, focal])])
        made.append(replace(view, camera=refined(view.camera, correction)))
    return made


def prepare(
    source: Path,
    inputs: int,
    hold_out: str,
    config: ReconxConfig,
    width: int | None,
    corrupt: bool,
    rough: Sequence[float] = (),
) -> Case:
    """Read the frames, make the cloud, and find what the inputs see of the held-out views."""
    split = read_split(source, config.source, parse_hold_out(hold_out), inputs, Silent())
    split = split if width is None else split.reduced(width)
    shown = corrupted(split.inputs) if corrupt else split.inputs
    shown = roughened(shown, *rough) if rough else shown
    seen = without_unused_depth(config.geometry, shown)
    small = [reduce(view, config.keyframes.image_width) for view in seen]
    estimate = choose_geometry(config.geometry, small, split.metric).estimate(small, Silent())
    cloud = fuse(estimate, config.geometry.fusion)
    splats = PointsBaseline(split.inputs, cloud)
    covered = [
        covered_pixels(view, split.inputs, splats.render(view.camera)[1], split.metric)
        for view in split.held_out
    ]
    return Case(f"{source.name} {inputs}", split, estimate, cloud, covered)


def run(
    case: Case,
    config: ReconxConfig,
    shown: list[Image] | None = None,
    optimiser_class: type[GaussianOptimiser] = GaussianOptimiser,
    draw: Callable[[GaussianMap, Camera], tuple[Image, Image, Image]] = render_view,
) -> dict[str, float]:
    """Optimise from the case's cloud; return the mean figures over its held-out views.

    Their pictures are added to ``shown``.
    """
    began = time.perf_counter()
    start = initialise(case.cloud, config.splatting)
    start = grown(start, case.estimate, config.splatting)
    optimiser = optimiser_class(start, config.splatting, config.device)
    pseudo = reprojected_views(case.estimate, config.splatting)
    optimiser.add_views([*observed_views(case.estimate), *pseudo])
    optimiser.prune()  # as the pipeline does
    optimiser.run()
    optimiser.prune()
    seconds = time.perf_counter() - began
    gaussians, appearance = optimiser.gaussians(evidence_views=0), optimiser.appearance()
    rows = []
    for view, covered in zip(case.split.held_out, case.covered, strict=True):
        image, _, alpha = draw(gaussians, view.camera)
        picture = appearance.develop(image, alpha, view.camera)
        if shown is not None:
            shown.append(picture)
        truth = view.image.astype(np.float32) / np.float32(255)
        bare = np.clip(image + (1 - alpha[..., None]) * appearance.background, 0, 1).astype(np.float32)
        rows.append(
            (
                psnr(picture, truth),
                ssim(picture, truth),
                psnr(picture, truth, covered),
                ssim(picture, truth, covered),
                psnr(picture, truth, ~covered),
                psnr(bare, truth, covered),
                psnr(colour_corrected(picture, truth, covered), truth, covered),
            )
        )
    names = ("psnr", "ssim", "covered", "ssim_covered", "uncovered", "bare_covered", "colour_corrected")
    means = np.nanmean(np.array(rows), axis=0)
    figures = {name: round(float(value), 4) for name, value in zip(names, means, strict=True)}
    counts = {f"pruned_{name}": count for name, count in asdict(optimiser.pruned).items()}
    return {**figures, **counts, "gaussians": len(gaussians), "seconds": round(seconds, 1)}


def parse_variant(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``name: key=value key.key=value`` into nested settings."""
    name, _, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for item in rest.split():
        key, _, value = item.partition("=")
        place = settings
        *path, last = key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = yaml.safe_load(value)
    return name.strip(), PLAIN if name.strip() == "plain" and not settings else settings


def main() -> None:
    """Run every variant on every case; print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--inputs", default="8", help="numbers of input views, as in 4,8")
    parser.add_argument("--hold-out", default="every:8")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--geometry")
    parser.add_argument("--width", type=int, help="of the input images")
    parser.add_argument("--variant", action="append", default=[])
    parser.add_argument("--no-base", action="store_true")
    parser.add_argument("--corrupt", action="store_true", help="paste pieces of other views")
    parser.add_argument("--rough", default="", help="errors of the input cameras, as in 0.5,0.01,0")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    args = parser.parse_args()
    common: dict[str, Any] = {}
    if args.geometry:
        common["geometry"] = {"method": args.geometry}
    if args.width:
        common["keyframes"] = {"image_width": args.width}
    variants: list[tuple[str, dict[str, Any]]] = [] if args.no_base else [("base", {})]
    variants += [parse_variant(text) for text in args.variant]
    results: dict[str, Any] = {"machine": processor_name(), "preset": args.preset, "cases": {}}
    for source in args.sources:
        for inputs in map(int, args.inputs.split(",")):
            case = prepare(
                source,
                inputs,
                args.hold_out,
                load_config(args.preset, args.config, common),
                args.width,
                args.corrupt,
                [float(number) for number in args.rough.split(",") if number],
            )
            print(f"{case.name}, {len(case.cloud)} points, {len(case.covered)} held out", flush=True)
            rows = results["cases"].setdefault(case.name, {})
            for name, settings in variants:
                config = load_config(args.preset, args.config, {**common, "splatting": settings})
                rows[name] = run(case, config)
                row = "  ".join(f"{key} {value:g}" for key, value in rows[name].items())
                print(f"  {name:28s} {row}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
