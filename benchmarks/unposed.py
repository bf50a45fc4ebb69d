"""Measure pose recovery on photo sets, and make maps of them.

    python benchmarks/unposed.py shared/data [--json FILE] [--sets campus3 berlin3 ...] [--maps FOLDER]

Sets without known poses report seconds, registered photos and reprojection error, or the error they end
in. Of ``fern`` and ``fox`` the poses of transforms.json (by COLMAP from all photos) are hidden, the focal
length is guessed as for photos without EXIF data, and the recovered cameras are compared with them: ATE
after alignment with a similarity (evo), in percent of the extent of the cameras, and the error of the
rotation between any two cameras, in degrees. ``fern:6`` means 6 photos of those that are not every eighth.

``--maps`` also makes maps of the sets without known poses, from photos to files, into folders of FOLDER
(preset ``fast``, nothing filmed). How well they show the photos they are made of says that cameras and
geometry fit each other, not what a new view would score. What FILE holds of other sets, and maps, stays.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from evo.core.metrics import APE, PoseRelation
from evo.core.trajectory import PosePath3D

from reconx_ros.camera import Camera
from reconx_ros.cli.reconstruction import Request, run
from reconx_ros.config import load_config
from reconx_ros.errors import ReconxError
from reconx_ros.evaluation.hold_out import choose_inputs
from reconx_ros.evaluation.metrics import psnr
from reconx_ros.geometry.poses.config import PosesConfig
from reconx_ros.geometry.poses.recover import recover_poses
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.image_folder import GUESSED_FOCAL
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.rasterize import render_view

SETS = (
    *("campus3", "berlin3", "sceaux_castle", "no_overlap8"),
    *("fern:3", "fern:6", "fern:20", "fox:3", "fox:6", "fox:9", "fox:20"),
)
UNPOSED = ("campus3", "berlin3", "sceaux_castle")
Row = dict[str, Any]


def read(folder: Path, number: int | None, width: int) -> list[Keyframe]:
    """Return the photos of a set, ``number`` of them spread over those that no protocol holds out."""
    with open_source(folder, SourceConfig()) as source:
        frames = [reduce(frame, width) for frame in source.frames()]
    if number is None or number >= len(frames):
        return frames
    rows = choose_inputs([i for i in range(len(frames)) if i % 8], number)
    return [frames[row] for row in rows]


def hidden(view: Keyframe) -> Keyframe:
    """Return a photo as a camera without EXIF data would give it."""
    width, height = view.camera.width, view.camera.height
    focal = GUESSED_FOCAL * max(width, height)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    camera = Camera(matrix, np.eye(4), width, height)
    return replace(view, camera=camera, posed=False, depth=None, depth_range=None, intrinsics="guessed")


def measure(folder: Path, number: int | None, config: PosesConfig) -> Row:
    """Recover the cameras of one set."""
    views = read(folder, number, config.image_width)
    known = {view.name: view.camera for view in views if view.posed}
    began = time.perf_counter()
    try:
        found = recover_poses([hidden(v) if v.posed else v for v in views], config, Silent())
    except ReconxError as err:
        return {"photos": len(views), "seconds": time.perf_counter() - began, "error": str(err)}
    row = {"seconds": time.perf_counter() - began, **found.report["poses"]}
    del row["cameras"]
    truth = [known[view.name] for view in found.keyframes if view.name in known]
    return {**row, **(errors([v.camera for v in found.keyframes], truth) if truth else {})}


def errors(found: Sequence[Camera], truth: Sequence[Camera]) -> Row:
    """Compare cameras after alignment with a similarity."""
    path = PosePath3D(poses_se3=[camera.world_from_camera for camera in found])
    exact = PosePath3D(poses_se3=[camera.world_from_camera for camera in truth])
    path.align(exact, correct_scale=True)
    metric = APE(PoseRelation.translation_part)
    metric.process_data((exact, path))
    rmse = float(np.sqrt(np.mean(np.square(metric.error))))
    centres = np.array([camera.centre for camera in truth])
    extent = float(np.linalg.norm(centres[:, None] - centres, axis=2).max())
    turns = [turn(found[i], found[j], truth[i], truth[j]) for i, j in combinations(range(len(found)), 2)]
    return {
        "ate_percent": 100 * rmse / extent,
        "rotation_deg_median": float(np.median(turns)),
        "rotation_deg_max": max(turns),
        "focal_ratio": float(found[0].intrinsics[0, 0] / truth[0].intrinsics[0, 0]),
    }


def turn(one: Camera, two: Camera, true_one: Camera, true_two: Camera) -> float:
    """Return the error, in degrees, of the rotation between two cameras."""
    found = one.world_from_camera[:3, :3].T @ two.world_from_camera[:3, :3]
    true = true_one.world_from_camera[:3, :3].T @ true_two.world_from_camera[:3, :3]
    return float(np.degrees(np.arccos(np.clip((np.trace(found.T @ true) - 1) / 2, -1, 1))))


def mapped(folder: Path, output: Path) -> Row:
    """Reconstruct a set of photos as ``reconx reconstruct`` does, into ``output``."""
    config = load_config("fast", None, {"synthesis": {"method": "none"}})
    began = time.perf_counter()
    result = run(Request(folder, output, config), Silent())
    seconds = time.perf_counter() - began
    scores = []
    for view in result.keyframes:
        image, _, alpha = render_view(result.gaussians, view.camera)
        picture = result.appearance.develop(image, alpha, view.camera)
        scores.append(psnr(picture, view.image.astype(np.float32) / np.float32(255)))
    return {
        "views": len(result.keyframes),
        "geometry": result.report["geometry"],
        "points": len(result.cloud),
        "gaussians": len(result.gaussians),
        "psnr_of_inputs": float(np.mean(scores)),
        "seconds": seconds,
        "seconds_by_stage": rounded(result.report["seconds"]),
    }


def rounded(row: Row) -> Row:
    """Return the figures with four digits after the point."""
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def main() -> None:
    """Run and print; write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    held = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    results, maps = held.get("poses", {}), held.get("maps", {})
    for name in options.sets:
        folder, _, number = name.partition(":")
        results[name] = rounded(
            measure(options.data / folder, int(number) if number else None, PosesConfig())
        )
        print(name, results[name], flush=True)
    for name in UNPOSED if options.maps else ():
        maps[name] = rounded(mapped(options.data / name, options.maps / name))
        print(name, maps[name], flush=True)
    if options.json:
        content = {**held, "machine": processor_name(), "poses": results, "maps": maps}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
