"""Time training steps of the CPU rasterizer on the maps of real recordings.

    python benchmarks/rasterizer_maps.py make FOLDER DATA/redkitchen_bag:8 DATA/fern:3:504
    python benchmarks/rasterizer_maps.py time FOLDER [--json FILE] [--repeats N]

``make`` optimises each SOURCE:INPUTS[:WIDTH] (every 8th view is held out) for 500 steps of the default
settings under caps of 10,000, 50,000 and 200,000 Gaussians. Where the cloud has fewer, the largest of the
finished map are split in two along their longest axis (as in 3D Gaussian splatting) until the cap is
reached; ``split`` counts them. ``time`` measures what ``rasterizer.py`` measures, from the middle
input view.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from arithmetic import peak_gflops
from rasterizer import Row, machine, row, table
from splatting_quality import Case, prepare

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.mapping.ply import read_gaussians, write_gaussians
from reconx_ros.sources.nerfstudio import load_cameras, write_cameras
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.grow import grown
from reconx_ros.splatting.initialise import initialise
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.reference import rotation_matrices
from reconx_ros.splatting.reproject import reprojected_views
from reconx_ros.splatting.views import observed_views

CAPS = (10_000, 50_000, 200_000)
STEPS = 500
NARROWER = np.log(1.6)
"""A Gaussian split in two keeps this much less of its scales (Kerbl et al. 2023)."""


def split_to(gaussians: GaussianMap, count: int) -> GaussianMap:
    """Split the Gaussians of largest cross-section in two until there are ``count``."""
    while len(gaussians) < count:
        extra = min(count - len(gaussians), len(gaussians))
        order = np.argsort(-np.sort(gaussians.log_scales, axis=1)[:, 1:].sum(axis=1), kind="stable")
        old, rest = gaussians.select(order[:extra]), gaussians.select(order[extra:])
        axes = rotation_matrices(GaussianParameters.from_map(old).quaternions_wxyz).numpy()
        longest = old.log_scales.argmax(axis=1)
        rows = np.arange(extra)
        away = axes[rows, :, longest] * np.exp(old.log_scales[rows, longest])[:, None]
        halves = [replace(old, means=old.means + s * away, log_scales=old.log_scales - NARROWER)
                  for s in (np.float32(-0.5), np.float32(0.5))]  # fmt: skip
        halves = [replace(h, log_scales=h.log_scales.astype(np.float32)) for h in halves]
        gaussians = GaussianMap.concatenate(rest, GaussianMap.concatenate(*halves))
    return gaussians


def optimised(case: Case, config: ReconxConfig) -> GaussianMap:
    """Return the map of a case after its steps."""
    start = grown(initialise(case.cloud, config.splatting), case.estimate, config.splatting)
    optimiser = GaussianOptimiser(start, config.splatting, "cpu")
    pseudo = reprojected_views(case.estimate, config.splatting)
    optimiser.add_views([*observed_views(case.estimate), *pseudo])
    optimiser.run()
    optimiser.prune()
    return optimiser.gaussians(evidence_views=0)


def make(source: str, folder: Path) -> None:
    """Write the maps of SOURCE:INPUTS[:WIDTH] and its middle camera into ``folder``."""
    path, inputs, *width = source.split(":")
    common = {"keyframes": {"image_width": int(width[0])}} if width else {}
    for cap in CAPS:
        settings = {**common, "splatting": {"steps": STEPS, "max_gaussians": cap}}
        config = load_config("balanced", None, settings)
        if cap == CAPS[0]:
            case = prepare(
                Path(path), int(inputs), "every:8", config, int(width[0]) if width else None, False
            )
        gaussians = optimised(case, config)
        made = split_to(gaussians, cap)
        name = folder / f"{Path(path).name}_{cap}"
        name.mkdir(parents=True, exist_ok=True)
        write_gaussians(name / "map.ply", made)
        middle: Camera = observed_views(case.estimate)[int(inputs) // 2].camera
        write_cameras(name / "cameras.json", [("middle", middle)])
        (name / "made.json").write_text(json.dumps({"split": len(made) - len(gaussians)}))
        print(f"{name.name}: {len(gaussians)} Gaussians, {len(made)} after splitting", flush=True)


def measured(folder: Path, repeats: int, reference: bool, peak: float) -> Row:
    """Time one map."""
    camera = load_cameras(folder / "cameras.json")[0][1]
    scene = read_gaussians(folder / "map.ply"), camera
    split = json.loads((folder / "made.json").read_text())["split"]
    return row(folder.name, scene, repeats, reference, peak) | {"split": split}


def main() -> None:
    """Make maps, or time them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("make", "time"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("sources", nargs="*", help="SOURCE:INPUTS or SOURCE:INPUTS:WIDTH")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-reference", action="store_true")
    args = parser.parse_args()
    if args.what == "make":
        for source in args.sources:
            make(source, args.folder)
        return
    peak, before = peak_gflops(), os.getloadavg()[0]
    folders = sorted(
        args.folder.iterdir(), key=lambda f: (f.name.rpartition("_")[0], int(f.name.rpartition("_")[2]))
    )
    rows = [measured(folder, args.repeats, not args.no_reference, peak) for folder in folders]
    about = {**machine(peak), "load_before": round(before, 2)}
    print(f"{about}\n{table(rows)}")
    if args.json:
        args.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
