"""Part ``speed`` of ``synthesis.py``: what one waits for, and how much memory it takes."""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from conditioning import FRAMES, OPTIONS, scene
from conditioning import measure as time_renders

from reconx_ros.diffusion.config import SmallConfig
from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer
from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.inputs import observation_of
from reconx_ros.diffusion.training.loop import advance, begin
from reconx_ros.diffusion.training.records import unpack
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.diffusion.training.team import Team
from reconx_ros.diffusion.trust import cloud_of
from reconx_ros.machine import peak_memory
from reconx_ros.progress import Silent
from reconx_ros.simulation.film import film
from reconx_ros.simulation.sensor import HANDHELD
from reconx_ros.structure.path import interpolate
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

WIDTH, HEIGHT = 256, 192
STEPS = (1, 4, 10)
REPEATS = 3
BATCH, TRAINING_STEPS = 8, 6
LOADING = """
import reconx_ros, sys, time
from pathlib import Path
begun = time.perf_counter()
from reconx_ros.diffusion.config import SmallConfig
from reconx_ros.diffusion.small.synthesizer import SmallSynthesizer
imported = time.perf_counter()
SmallSynthesizer.load(SmallConfig(weights=Path(sys.argv[1])), "cpu")
print(imported - begun, time.perf_counter() - imported)
"""


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Print and yield figures, those of training where there are clips to train on.

    ``filming_peak_mib`` is that of this process, imports and model included.
    """
    yield shown(size=f"{WIDTH}x{HEIGHT}", frames=FRAMES, **loading(arguments))
    yield shown(clip_seconds=filming(arguments))
    yield shown(filming_peak_mib=round(peak_memory() / 2**20))
    how = OPTIONS["overscan, guess"]
    times = time_renders(scene(WIDTH, HEIGHT, "cpu"), (HEIGHT, WIDTH), REPEATS, **how)
    yield shown(conditioning_renders_per_s=round(1000 / statistics.median(times), 2))
    if arguments.clips:
        yield shown(**training(arguments))


def shown(**figures: object) -> dict[str, Any]:
    """Print figures and return them."""
    print(figures, flush=True)
    return figures


def loading(arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of imports and of loading in a process of its own, the best of three."""
    command = [sys.executable, "-c", LOADING, str(arguments.weights)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    imports, loads = zip(*((float(part) for part in run.split()) for run in runs), strict=True)
    return {"import_seconds": round(min(imports), 3), "load_seconds": round(min(loads), 3)}


def filming(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the seconds of a clip between two views of a room, everything included."""
    views = list(film("room", 900, 30, 3.0, WIDTH, HEIGHT, HANDHELD, Silent()))[:2]
    references = [Reference.of_keyframe(view) for view in views]
    cloud = cloud_of(references)
    path = Trajectory(tuple(interpolate(views[0].camera, views[1].camera, FRAMES)))
    found: dict[str, dict[str, float]] = {}
    for precision in ("bf16", "fp32"):
        for steps in STEPS:
            config = SmallConfig(
                weights=arguments.weights, width=WIDTH, steps=steps, bf16=precision == "bf16"
            )
            synthesizer = SmallSynthesizer.load(config, "cpu")
            times = timed(partial(synthesizer.generate, references, cloud, path, Silent()))
            found[f"{precision}, {steps} steps"] = times
    return found


def training(arguments: argparse.Namespace) -> dict[str, float | str]:
    """Return clips a second of single frames, as training begins; of observing them alone, too."""
    store, config = ClipStore(arguments.clips), TrainingConfig(batch=BATCH, structure=True)
    run = begin(config, "cpu")
    steps = timed(lambda: advance(run, store, config, Team("cpu")), TRAINING_STEPS)
    example = unpack([store.part(number, slice(0, 1)) for number in range(BATCH)])
    seen = timed(lambda: observation_of(example))
    size = tuple(store[0]["truth"].shape[-2:])
    return {
        "training_size": f"{size[1]}x{size[0]}",
        "training_frames_per_s": round(BATCH / steps["median"], 2),
        "observed_frames_per_s": round(BATCH / seen["median"], 2),
    }


def timed(work: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    """Return median and least seconds; the first call, which compiles, is left out."""
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return {"median": round(statistics.median(times[1:]), 4), "least": round(min(times[1:]), 4)}
