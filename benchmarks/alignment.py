"""Measure global alignment on a real recording: odometry disturbed, then brought back.

    python benchmarks/alignment.py shared/data/redkitchen_bag [--json FILE] [--keyframes N] [--seeds N]

The poses of N keyframes are disturbed independently (normal, along and about each axis) and aligned with
pairs of pointmaps of two kinds:

- ``registered``: nothing is given away. Each pair is registered by its own images and sensor depth
  (features, PnP, dense RGB-D odometry): ``reconx_ros.geometry.align.registration``.
- ``simulated``: what a network's predictions would be worth, made of sensor depth and the recording's
  poses: an unknown scale a pair (a factor of 1.6 or so), the depth of each view bent smoothly by 3 percent
  (another bend in each pair), 1 percent of noise, 5 percent of the points anywhere, and the second view
  turned by 0.5 degrees and moved by 1 percent of the median depth.

Errors are evo's, against the recording's poses: ATE and rotation as they are, ATE after aligning the
trajectories as a whole (SE(3)), RPE from each keyframe to the next. As they are, no method can be better
than the mean of the disturbances: nothing else says where the world is. ``nees`` is the mean squared
Mahalanobis distance of positions over 3: 1 where covariances are honest, more where they are too small.
"""

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from evo.core.metrics import APE, RPE, PoseRelation, Unit
from evo.core.trajectory import PosePath3D
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.align import align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.registration import register_pairs
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly
from reconx_ros.machine import processor_name
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

DISTURBANCES = ((0.02, 1.0), (0.10, 5.0))
NEIGHBOURS = 4
Array = NDArray[np.float64]
Row = dict[str, str | float]
Maker = Callable[[Sequence[Keyframe], Sequence[Keyframe], int], list[PairPointMaps]]


def disturbed(keyframes: Sequence[Keyframe], metres: float, degrees: float, seed: int) -> list[Keyframe]:
    """Return ``keyframes`` with normal errors of their poses."""
    random = np.random.default_rng([seed, 3])
    result = []
    for keyframe in keyframes:
        pose = keyframe.camera.world_from_camera.copy()
        pose[:3, 3] += metres * random.standard_normal(3)
        turn = Rotation.from_rotvec(np.deg2rad(degrees) * random.standard_normal(3))
        pose[:3, :3] = turn.as_matrix() @ pose[:3, :3]
        result.append(replace(keyframe, camera=keyframe.camera.moved(pose)))
    return result


def registered(truth: Sequence[Keyframe], rough: Sequence[Keyframe], seed: int) -> list[PairPointMaps]:
    """Pairs of what the images and the sensor say; the rough poses only choose which."""
    del truth, seed
    return register_pairs(rough, choose_pairs(rough, NEIGHBOURS, True), RgbdConfig())


def simulated(truth: Sequence[Keyframe], rough: Sequence[Keyframe], seed: int) -> list[PairPointMaps]:
    """Pairs as a network might predict them."""
    random = np.random.default_rng([seed, 5])
    ends = choose_pairs(rough, NEIGHBOURS, True)
    return [simulated_pair(truth, first, second, random) for first, second in ends]


def simulated_pair(
    truth: Sequence[Keyframe], first: int, second: int, random: np.random.Generator
) -> PairPointMaps:
    """Return one pair with the errors that the module's text lists."""
    scale = float(np.exp(0.5 * random.standard_normal()))
    into = truth[first].camera.camera_from_world
    points, sure = [], []
    for view in (first, second):
        depth = truth[view].depth
        assert depth is not None
        bend = cv2.resize(
            0.03 * random.standard_normal((3, 4)), depth.shape[::-1], interpolation=cv2.INTER_CUBIC
        )
        false = depth * (1 + bend + 0.01 * random.standard_normal(depth.shape))
        anywhere = random.random(depth.shape) < 0.05
        false = np.where(anywhere, false * random.uniform(0.5, 1.5, depth.shape), false)
        world = truth[view].camera.unproject(false.astype(np.float32)).astype(np.float64)
        local = world @ into[:3, :3].T + into[:3, 3]
        if view == second:
            turn = Rotation.from_rotvec(np.deg2rad(0.5) * random.standard_normal(3)).as_matrix()
            local = local @ turn.T + 0.01 * np.nanmedian(depth) * random.standard_normal(3)
        points.append((scale * local).astype(np.float32))
        sure.append(np.where(np.isfinite(depth), 4.0, 1.0).astype(np.float32))
    return PairPointMaps(first, second, (points[0], points[1]), (sure[0], sure[1]))


def errors(cameras: Sequence[Camera], truth: Sequence[Keyframe]) -> Row:
    """Return evo's root mean square errors in millimetres and degrees."""
    exact = PosePath3D(poses_se3=[keyframe.camera.world_from_camera for keyframe in truth])
    found = PosePath3D(poses_se3=[camera.world_from_camera for camera in cameras])
    whole = copy.deepcopy(found)
    whole.align(exact)
    place, turn = PoseRelation.translation_part, PoseRelation.rotation_angle_deg
    metrics = {
        "ate_mm": (APE(place), found, 1e3),
        "ate_aligned_mm": (APE(place), whole, 1e3),
        "rotation_deg": (APE(turn), found, 1.0),
        "rpe_mm": (RPE(place, 1, Unit.frames), found, 1e3),
        "rpe_deg": (RPE(turn, 1, Unit.frames), found, 1.0),
    }
    row: Row = {}
    for name, (metric, path, unit) in metrics.items():
        metric.process_data((exact, path))
        row[name] = round(unit * float(metric.get_all_statistics()["rmse"]), 2)
    return row


def measure(truth: Sequence[Keyframe], make: Maker, metres: float, degrees: float, seeds: int) -> list[Row]:
    """Return the errors before and after, a row a seed."""
    rows = []
    config = AlignmentConfig(position_deviation=metres, rotation_deviation=degrees)
    for seed in range(seeds):
        rough = disturbed(truth, metres, degrees, seed)
        start = time.perf_counter()
        pairs = make(truth, rough, seed)
        made = time.perf_counter()
        found = align(pairs, [k.camera for k in rough], priors_of(rough, config), config)
        done = time.perf_counter()
        row: Row = {
            "pairs": make.__name__,
            "disturbed": f"{100 * metres:g} cm, {degrees:g} deg",
            "seed": seed,
        }
        row |= {"count": len(pairs), "pairs_s": round(made - start, 2), "align_s": round(done - made, 2)}
        row |= {f"before_{name}": value for name, value in errors([k.camera for k in rough], truth).items()}
        row |= {f"after_{name}": value for name, value in errors(found.cameras, truth).items()}
        stretch = spread(found.cameras) / spread([k.camera for k in truth])
        row |= {"noise": round(found.noise, 4), "doubted": int((found.trust < 0.5).sum())}
        row |= {"scale_error": round(stretch - 1, 4)}
        row |= consistency(found.covariance, found.cameras, truth)
        rows.append(row)
    return rows


def spread(cameras: Sequence[Camera]) -> float:
    """Return the deviation of positions from their mean."""
    return float(np.sqrt(np.var([camera.centre for camera in cameras], axis=0).sum()))


def consistency(covariance: Array, cameras: Sequence[Camera], truth: Sequence[Keyframe]) -> Row:
    """Return the mean squared Mahalanobis distance of positions over 3: 1 where covariances are honest."""
    error = np.stack([c.centre - k.camera.centre for c, k in zip(cameras, truth, strict=True)])
    inverse = np.linalg.inv(covariance[:, :3, :3])
    return {"nees": round(float(np.einsum("ni,nij,nj->n", error, inverse, error).mean() / 3), 2)}


def main() -> None:
    """Print a table of medians over the seeds; write all rows on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path, help="with colour, depth and good poses")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keyframes", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with open_source(arguments.recording, SourceConfig()) as source:
        truth = select_evenly(source.frames(), arguments.keyframes, 320)
    rows = []
    for make in (registered, simulated):
        for metres, degrees in DISTURBANCES:
            some = measure(truth, make, metres, degrees, arguments.seeds)
            rows += some
            print(f"{some[0]['pairs']} pairs, {some[0]['disturbed']}: {some[0]['count']} pairs")
            for name in [key for key in some[0] if isinstance(some[0][key], float) or key == "doubted"]:
                print(f"    {name:28} {np.median([float(row[name]) for row in some]):9.4g}")
    if arguments.json:
        about = {"machine": processor_name(), "torch_threads": torch.get_num_threads()}
        about |= {"recording": arguments.recording.name, "keyframes": str(arguments.keyframes)}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
