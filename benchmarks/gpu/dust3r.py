"""Time DUSt3R on a GPU: a pair at 512 x 384, peak memory, and keyframes end to end with global alignment.

    python benchmarks/gpu/dust3r.py [--json FILE] [--keyframes N] [--repeats N] [--tiny]

Runs from a bare checkout with torch, numpy, OpenCV, scipy, numba, pydantic and pillow; no ROS. The weights
are random, which costs the same time. End to end are: preparing N keyframes of 640 x 480, the pairs of a
window of four neighbours, predicting them in batches, and aligning pairs of the same number (exact ones of
a bumpy wall, as random weights predict nothing that could be aligned). Without CUDA it runs on the CPU;
``--tiny`` makes the network small, to try the script.
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

import numpy as np
import torch

from reconx_ros.camera import Camera
from reconx_ros.geometry.align.align import align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.dust3r.model import Architecture, Dust3r
from reconx_ros.geometry.dust3r.preprocess import window_of
from reconx_ros.geometry.dust3r.room import brought_back
from reconx_ros.geometry.dust3r.runner import PairRunner
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import processor_name

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
    """Return the seconds of each stage for ``count`` keyframes."""
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


def main() -> None:
    """Print the figures as JSON; write them on demand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keyframes", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    there = torch.cuda.is_available()
    device = torch.device("cuda" if there else "cpu")
    dtype = torch.bfloat16 if there else torch.float32
    torch.manual_seed(0)
    model = Dust3r(TINY if arguments.tiny else Architecture()).eval().requires_grad_(False)
    runner = PairRunner(model, device, dtype, 8, 64)
    size = (64, 48) if arguments.tiny else (512, 384)
    result: dict[str, object] = {"device": torch.cuda.get_device_name() if there else processor_name()}
    result |= {"torch": torch.__version__, "where": runner.place, "size": list(size)}
    result |= pair_times(model, device, size, arguments.repeats)
    result |= end_to_end(runner, arguments.keyframes, device)
    if there:
        result["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
