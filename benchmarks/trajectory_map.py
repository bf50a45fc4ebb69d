r"""What the finished map gains from the trajectory that is filmed, on views that no stage has seen.

    python benchmarks/trajectory_map.py [--bag FOLDER] [--json FILE] [--scenes N] [--keyframes 2,3]
        [--method small] [--weights FOLDER] [--plan 'short: clip=4' --plan ...] [--full]

For each plan (a name and settings of ``PlanConfig``) the keyframes are reconstructed with the preset
``fast``, the frames filmed by ``--method``, and the map is compared with the truth. Held out are, in
simulation, 6 views between and 10 beyond the keyframes; of a recording every 8th frame. Figures are gains
in dB over the map without any filming, mean over the scenes with its standard error:

    covered     pixels that an input saw
    near        pixels that none saw, at most 8 of 64 pixels from one that an input saw (simulation only)
    holes       all that none saw
    all         all

``--full`` asks the run's own keyframes first, as a user's run does (``synthesis.trust``).
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from trajectory import NEAR, Truth, parsed
from trajectory_cases import Case, simulated_cases

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.evaluation.baselines import PointsBaseline
from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.hold_out import parse_hold_out
from reconx_ros.evaluation.split import read_split
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import processor_name
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.progress import Silent
from reconx_ros.simulation.viewpoints import between, beyond
from reconx_ros.sources.config import SourceConfig
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.structure.config import Plan, PlanConfig

Mask = NDArray[np.bool_]
Row = dict[str, Any]

BETWEEN, BEYOND = 6, 10
FREE = 0.15


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A view that no stage has seen, and its pixels by name."""

    camera: Camera
    picture: NDArray[np.float32]
    pixels: dict[str, Mask]


def simulated_views(case: Case) -> list[HeldOut]:
    """Return views between and beyond the keyframes of a simulated case."""
    random, truth = np.random.default_rng(7), Truth(case)
    poses = np.stack([keyframe.camera.world_from_camera for keyframe in case.keyframes])
    depths = [keyframe.depth for keyframe in case.keyframes if keyframe.depth is not None]  # all have
    far = float(np.median([np.nanmedian(depth) for depth in depths]))
    made: list[HeldOut] = []
    while len(made) < BETWEEN + BEYOND:
        pair = poses[np.sort(random.choice(len(poses), 2, replace=len(poses) < 2))]
        if len(made) < BETWEEN:
            pose = between(pair, random.uniform(0.2, 0.8), random)
        else:
            pose = beyond(pair, far, random.uniform(0.3, 0.8), random)
        if case.distance is None or case.picture is None or case.distance(pose[None, :3, 3])[0] < FREE:
            continue
        camera = case.keyframes[0].camera.moved(pose)
        _, there, unseen, away = truth.look(camera)
        coarse = {
            "covered": there & ~unseen,
            "near": unseen & (away <= NEAR),
            "holes": unseen,
            "all": there,
        }
        size = (camera.width, camera.height)
        pixels = {
            name: cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            for name, mask in coarse.items()
        }
        made.append(HeldOut(camera, case.picture(camera), pixels))
    return made


def recorded_views(
    inputs: Sequence[Keyframe], held: Sequence[Keyframe], cloud: PointCloud
) -> list[HeldOut]:
    """Return held-out frames of a recording."""
    points, made = PointsBaseline(inputs, cloud), []
    for view in held:
        covered = covered_pixels(view, inputs, points.render(view.camera)[1], True)
        pixels = {"covered": covered, "holes": ~covered, "all": np.ones_like(covered)}
        made.append(HeldOut(view.camera, view.image.astype(np.float32) / np.float32(255), pixels))
    return made


def levels(keyframes: Sequence[Keyframe], views: Sequence[HeldOut], overrides: Row) -> tuple[Row, Row]:
    """Reconstruct and return PSNR by the name of the pixels, and the report."""
    result = reconstruct_keyframes(keyframes, load_config("fast", overrides=overrides), Silent())
    total: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    for view in views:
        image, _, alpha = render_view(result.gaussians, view.camera)
        error = np.square(result.appearance.develop(image, alpha, view.camera) - view.picture).mean(-1)
        for name, mask in view.pixels.items():
            total[name] += (error[mask].sum(dtype=np.float64), np.count_nonzero(mask))
    figures = {name: -10 * np.log10(sums[0] / sums[1]) for name, sums in total.items() if sums[1]}
    return figures, result.report


def cases(arguments: argparse.Namespace) -> Iterator[tuple[str, Sequence[Keyframe], list[HeldOut]]]:
    """Yield name, keyframes and held-out views of all scenes."""
    for number in map(int, arguments.keyframes.split(",")):
        if arguments.scenes:
            for case in simulated_cases(number, arguments.scenes):
                yield f"{case.name}, {number}", case.keyframes, simulated_views(case)
        if arguments.bag is not None:
            rule = parse_hold_out("every:8")
            split = read_split(arguments.bag, SourceConfig(), rule, number, Silent()).reduced(240)
            nothing = load_config("fast", overrides={"synthesis": {"method": "none"}})
            cloud = reconstruct_keyframes(split.inputs, nothing, Silent()).cloud
            views = recorded_views(split.inputs, split.held_out, cloud)
            yield f"{arguments.bag.name}, {number}", split.inputs, views


def main() -> None:
    """Print gains; write all figures on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bag", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--keyframes", default="2,3")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--method", default="small")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--plan", action="append")
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    plans = arguments.plan or [f"{name}: trajectory={name}" for name in get_args(Plan)]
    rows: list[Row] = []
    for scene, keyframes, views in cases(arguments):
        for name, settings in wanted(arguments, dict(map(parsed, plans))).items():
            figures, report = levels(keyframes, views, {"synthesis": settings})
            row = {"scene": scene, "plan": name, "frames": report["generated_frames"]}
            rows.append(row | {key: round(float(value), 3) for key, value in figures.items()})
            print(rows[-1], flush=True)
    gains = summary(rows)
    if arguments.json:
        about = {"machine": processor_name(), "method": arguments.method, "frames": arguments.frames}
        arguments.json.write_text(json.dumps({**about, "gains": gains, "rows": rows}, indent=1) + "\n")


def wanted(arguments: argparse.Namespace, plans: dict[str, PlanConfig]) -> dict[str, Row]:
    """Return the synthesis settings of each run, the one without filming first."""
    common: Row = {"method": arguments.method, "frames": arguments.frames}
    if not arguments.full:
        common["trust"] = {"keyframes": 0}
    if arguments.weights is not None:
        common["small"] = {"weights": str(arguments.weights)}
    runs: dict[str, Row] = {"none": {"method": "none"}}
    return runs | {name: {**common, "plan": plan.model_dump()} for name, plan in plans.items()}


def summary(rows: list[Row]) -> list[Row]:
    """Print and return the mean gain of each plan over filming nothing, by kind of scene."""
    made = []
    base = {row["scene"]: row for row in rows if row["plan"] == "none"}
    groups = {"procedural": [r for r in rows if "bag" not in r["scene"]]}
    groups |= {scene: [r for r in rows if r["scene"] == scene] for scene in base if "bag" in scene}
    for group, some in groups.items():
        for name in dict.fromkeys(row["plan"] for row in some):
            found: Row = {"scenes": group, "plan": name}
            for key in ("covered", "near", "holes", "all"):
                gain = [r[key] - base[r["scene"]][key] for r in some if r["plan"] == name and key in r]
                if gain and name != "none":
                    error = np.std(gain) / np.sqrt(len(gain))
                    found[key] = [round(float(np.mean(gain)), 3), round(float(error), 3)]
            made.append(found)
            print(found)
    return made


if __name__ == "__main__":
    main()
