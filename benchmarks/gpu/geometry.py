"""Geometry on a GPU: DUSt3R's pairs and keyframes end to end, and plane-sweep stereo.

    python benchmarks/gpu/geometry.py [--json FILE] [--stages pair end_to_end stereo] [--again]
                                      [--keyframes N] [--repeats N] [--tiny]

Runs from a bare checkout with torch, numpy, OpenCV, scipy, numba, pydantic and pillow; no ROS. FILE is
written after each stage, and a stage that stands in it is not measured again.

- ``pair``: milliseconds of encoder, decoder and heads at 512 x 384, bfloat16; random weights, which cost
  the same time.
- ``end_to_end``: preparing N keyframes of 640 x 480, the pairs of a window of four neighbours, predicting
  them in batches, and aligning pairs of the same number (exact ones of a bumpy wall, as random weights
  predict nothing that could be aligned).
- ``stereo``: matching one 640 x 480 view with six neighbours on 128 planes, and the share of pixels within
  a tenth of a plane of what the CPU's kernels find.

Peak memory of the device is that of each stage. Without CUDA it runs on the CPU; ``--tiny`` makes the
network and the images small, to try the script.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import statistics
import time

import cv2
import numpy as np
import torch
from resume import held, kept

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.align import align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.dust3r.model import Architecture, Dust3r
from reconx_ros.geometry.dust3r.preprocess import window_of
from reconx_ros.geometry.dust3r.room import brought_back
from reconx_ros.geometry.dust3r.runner import PairRunner
from reconx_ros.geometry.stereo.planes import transfer
from reconx_ros.geometry.stereo.semi_global import aggregate
from reconx_ros.geometry.stereo.tensor.match import match
from reconx_ros.geometry.stereo.volume import LEVELS, UNSEEN, cost_volume
from reconx_ros.geometry.stereo.winner import choose_winner
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import processor_name

STAGES = ("pair", "end_to_end", "stereo")
TINY = Architecture(64, "dpt", 16, 64, 2, 128, 64, 4, 128, (8, 12, 16, 20), 16, 8)
BATCHES = (1, 8)


def waited(device: torch.device) -> float:
    """Return the time once the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


@torch.inference_mode()
def pair_times(
    model: Dust3r, device: torch.device, size: tuple[int, int], repeats: int
) -> dict[str, float]:
    """Return milliseconds of encoding an image, and of decoder and heads a pair, by batch."""
    result = {}
    for batch in BATCHES:
        images = torch.rand(batch, 3, size[1], size[0], device=device) * 2 - 1
        encode, pair = [], []
        for _ in range(repeats + 2):
            start = waited(device)
            encoded = model.encode(images)
            middle = waited(device)
            model(encoded, encoded)
            encode.append(1e3 * (middle - start) / batch)
            pair.append(1e3 * (waited(device) - middle) / batch)
        result[f"encode_ms_batch_{batch}"] = round(statistics.median(encode[2:]), 2)
        result[f"decode_and_heads_ms_batch_{batch}"] = round(statistics.median(pair[2:]), 2)
    return result


def row_of_keyframes(count: int) -> list[Keyframe]:
    """Return views of a wall 3 m away, each 10 cm to the right of the one before."""
    intrinsics = np.array([[525.0, 0, 319.5], [0, 525.0, 239.5], [0, 0, 1]])
    random, frames = np.random.default_rng(0), []
    for number in range(count):
        pose = np.eye(4)
        pose[:3, 3] = (0.1 * number, 0.03 * np.sin(number), 0.05 * np.cos(number))
        image = random.integers(0, 255, (480, 640, 3), dtype=np.uint8)
        frames.append(Keyframe(f"{number:06d}", number, image, Camera(intrinsics, pose, 640, 480)))
    return frames


def wall_pair(frames: list[Keyframe], first: int, second: int) -> PairPointMaps:
    """Return the exact pointmaps of a bumpy wall."""
    into, points = frames[first].camera.camera_from_world, []
    for view in (first, second):
        camera = frames[view].camera
        rays = camera.rays()
        bumps = 0.2 * np.sin(7 * rays[..., 0]) * np.cos(5 * rays[..., 1])
        world = camera.unproject((3.0 + bumps).astype(np.float32)).astype(np.float64)
        points.append((world @ into[:3, :3].T + into[:3, 3]).astype(np.float32))
    sure = np.full((480, 640), 4.0, np.float32)
    return PairPointMaps(first, second, (points[0], points[1]), (sure, sure))


def end_to_end(runner: PairRunner, count: int, device: torch.device) -> dict[str, float | int]:
    """Return the seconds of each stage for ``count`` keyframes.

    The stages are timed one after the other, not joined: what is aligned is not what was predicted (random
    weights predict nothing that could be) but as many exact synthetic pairs of a wall, made outside of the
    times; exact pairs are the easy case for the search.
    """
    frames = row_of_keyframes(count)
    start = waited(device)
    ends = choose_pairs(frames, 4, True)
    windows = [window_of(frame, runner.architecture) for frame in frames]
    images = [window.image(frame.image) for window, frame in zip(windows, frames, strict=True)]
    prepared = waited(device)
    for pair, output in runner.predict(images, ends):
        brought_back(pair, output, (windows[pair[0]], windows[pair[1]]))
    predicted = waited(device)
    known = [wall_pair(frames, *pair) for pair in ends]
    config = AlignmentConfig()
    ready = time.perf_counter()
    align(known, [frame.camera for frame in frames], priors_of(frames, config), config)
    aligned = time.perf_counter()
    seconds = {"prepare": prepared - start, "predict": predicted - prepared, "align": aligned - ready}
    return {"keyframes": count, "pairs": len(ends)} | {f"{k}_s": round(v, 3) for k, v in seconds.items()}


def stereo_times(device: torch.device, tiny: bool, repeats: int) -> dict[str, float]:
    """Return the milliseconds of matching a view, and how far it agrees with the CPU's kernels."""
    width, height = (64, 48) if tiny else (640, 480)
    matrix = np.array([[0.82 * width, 0, (width - 1) / 2], [0, 0.82 * width, (height - 1) / 2], [0, 0, 1]])
    wall = cv2.resize(
        np.random.default_rng(0).random((height // 8, width // 4), np.float32), (2 * width, height)
    )
    step, views, cameras = 4, [], []
    for number in (3, 0, 1, 2, 4, 5, 6):  # a wall 3 m away slides by whole pixels
        pose = np.eye(4)
        pose[0, 3] = 3.0 * step * number / matrix[0, 0]
        views.append(np.ascontiguousarray(wall[:, step * number : step * number + width]))
        cameras.append(Camera(matrix, pose, width, height))
    carries = np.array([transfer(cameras[0], camera) for camera in cameras[1:]], np.float32)
    planes = np.linspace(1 / 12, 1 / 1.5, 32 if tiny else 128, dtype=np.float32)
    config, times = PlaneSweepConfig(), []
    for _ in range(repeats + 2):
        start = waited(device)
        found = match(views[0], views[1:], carries, planes, config, device.type)
        times.append(1e3 * (waited(device) - start))
    volume = cost_volume(
        views[0], views[1:], carries, planes, config.window // 2, config.noise, config.best_share
    )
    total = aggregate(volume, views[0], config.small_step * LEVELS, config.large_step * LEVELS, config.edge)
    exact = choose_winner(volume, total, planes, LEVELS, UNSEEN)
    near = np.abs(found.inverse - exact.inverse) < 0.1 * (planes[1] - planes[0])
    same = near | (np.isnan(found.inverse) & np.isnan(exact.inverse))
    return {"match_ms": round(statistics.median(times[2:]), 2), "same_as_cpu": round(float(same.mean()), 4)}


def main() -> None:
    """Print the figures as JSON; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--again", action="store_true", help="measure what stands in FILE again")
    parser.add_argument("--keyframes", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    there = torch.cuda.is_available()
    device = torch.device("cuda" if there else "cpu")
    size = (64, 48) if arguments.tiny else (512, 384)
    what: dict[str, object] = {"device": torch.cuda.get_device_name() if there else processor_name()}
    what |= {"torch": torch.__version__, "size": list(size), "keyframes": arguments.keyframes}
    result = held(arguments.json, what, arguments.again)
    wanted = [stage for stage in arguments.stages if stage not in result]
    if {"pair", "end_to_end"} & set(wanted):
        torch.manual_seed(0)
        model = Dust3r(TINY if arguments.tiny else Architecture()).eval().requires_grad_(False)
        runner = PairRunner(model, device, torch.bfloat16 if there else torch.float32, 8, 64)
        result["where"] = runner.place
    for stage in wanted:
        if there:
            torch.cuda.reset_peak_memory_stats()
        if stage == "pair":
            row: dict[str, float | int] = {**pair_times(model, device, size, arguments.repeats)}
        elif stage == "end_to_end":
            row = end_to_end(runner, arguments.keyframes, device)
        else:
            row = {**stereo_times(device, arguments.tiny, arguments.repeats)}
        if there:
            row["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        result[stage] = row
        kept(arguments.json, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
