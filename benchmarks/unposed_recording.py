"""A robot's recording whose poses are hidden: how well cameras and held-out views come back.

    python benchmarks/unposed_recording.py ../shared/data/redkitchen_bag [--inputs 8,16] [--json FILE]

Cameras of the inputs are recovered from colour and K alone and laid over the recorded ones by a similarity
(evo); ATE is then in millimetres, and held-out views (every 8th) are rendered from their recorded poses
in a map made of the recovered cameras. Where the recorded poses are off by degrees, that measures their
disagreement; so ``together`` recovers the cameras of inputs and held-out views in one go, as those of
posed photo sets are, trains on the inputs alone and looks from the held-out views' recovered cameras.
``posed`` is the same with recorded poses; all by stereo and without filming. ``scale`` is the size of the
world by measured depth over that of the recorded poses.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from evo.core.geometry import umeyama_alignment
from numpy.typing import NDArray
from splatting_quality import Case, prepare, run
from unposed import errors, rounded

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.errors import ReconxError
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.fusion import fuse
from reconx_ros.geometry.poses.recover import recover_poses
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent

Row = dict[str, Any]


def hidden(view: Keyframe, depth: bool) -> Keyframe:
    """Return a frame as a recording without TF and odometry gives it."""
    camera = view.camera.moved(np.eye(4))
    return replace(view, camera=camera, posed=False, depth=view.depth if depth else None)


def laid_over(found: Sequence[Keyframe], truth: Sequence[Camera]) -> tuple[list[Keyframe], float]:
    """Return the recovered views in the recorded world, and the scale that brought them there."""
    centres = [np.array([c.centre for c in cameras]).T for cameras in ([k.camera for k in found], truth)]
    rotation, shift, scale = umeyama_alignment(*centres, with_scale=True)
    return [_moved(view, rotation, shift, scale) for view in found], float(scale)


def _moved(
    view: Keyframe, rotation: NDArray[np.float64], shift: NDArray[np.float64], scale: float
) -> Keyframe:
    pose = view.camera.world_from_camera.copy()
    pose[:3, :3] = rotation @ pose[:3, :3]
    pose[:3, 3] = scale * rotation @ pose[:3, 3] + shift
    reach = view.depth_range
    reach = None if reach is None else (scale * reach[0], scale * reach[1])
    return replace(view, camera=view.camera.moved(pose), depth_range=reach)


def measure(bag: Path, inputs: int, config: ReconxConfig) -> Row:
    """Measure one number of inputs."""
    case = prepare(bag, inputs, "every:8", config, None, corrupt=False)
    known = {view.name: view.camera for view in case.split.inputs}
    began = time.perf_counter()
    try:
        found = recover_poses(
            [hidden(v, False) for v in case.split.inputs], config.geometry.poses, Silent()
        )
    except ReconxError as err:
        return {"inputs": inputs, "error": str(err)}
    seconds = time.perf_counter() - began
    truth = [known[view.name] for view in found.keyframes]
    views, _ = laid_over(found.keyframes, truth)
    offsets = [np.linalg.norm(v.camera.centre - c.centre) for v, c in zip(views, truth, strict=True)]
    metric = recover_poses([hidden(v, True) for v in case.split.inputs], config.geometry.poses, Silent())
    scale = laid_over(metric.keyframes, [known[view.name] for view in metric.keyframes])[1]
    row = {
        "inputs": inputs,
        "registered": len(views),
        "seconds": seconds,
        "ate_mm": 1000 * float(np.sqrt(np.mean(np.square(offsets)))),
        **errors([k.camera for k in found.keyframes], truth),
        "scale": 1 / scale if metric.metric else None,
    }
    return {
        **row,
        "recovered": run(_remade(case, views, config), config),
        "together": _together(case, config),
        "posed": run(case, config),
    }


def _together(case: Case, config: ReconxConfig) -> Row:
    """Return the figures where the cameras of held-out views come from the images, too."""
    everything = sorted([*case.split.inputs, *case.split.held_out], key=lambda view: view.stamp_ns)
    truth = {view.name: view.camera for view in everything}
    found = recover_poses([hidden(v, False) for v in everything], config.geometry.poses, Silent())
    views, _ = laid_over(found.keyframes, [truth[view.name] for view in found.keyframes])
    placed = {view.name: view for view in views}
    inputs = [placed[view.name] for view in case.split.inputs if view.name in placed]
    kept = [number for number, view in enumerate(case.split.held_out) if view.name in placed]
    held_out = [placed[case.split.held_out[number].name] for number in kept]
    split = replace(case.split, inputs=inputs, held_out=held_out)
    there = replace(case, split=split, covered=[case.covered[number] for number in kept])
    return {"views": len(held_out), **run(_remade(there, inputs, config), config)}


def _remade(case: Case, views: Sequence[Keyframe], config: ReconxConfig) -> Case:
    """Return the case with the geometry of the recovered views."""
    small = [reduce(view, config.keyframes.image_width) for view in views]
    estimate = choose_geometry(config.geometry, small, metric=False).estimate(small, Silent())
    estimate = replace(estimate, metric=True)  # it lies in the recorded world
    return replace(case, estimate=estimate, cloud=fuse(estimate, config.geometry.fusion))


def main() -> None:
    """Run and print; write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bag", type=Path)
    parser.add_argument("--inputs", default="8,16")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    config = load_config(args.preset, None, {"geometry": {"method": "plane-sweep"}})
    rows = []
    for inputs in map(int, args.inputs.split(",")):
        rows.append(rounded(measure(args.bag, inputs, config)))
        print(json.dumps(rows[-1], indent=1), flush=True)
    if args.json:
        content = {"machine": processor_name(), "preset": args.preset, "rows": rows}
        args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
