"""Train the small model on a GPU in pieces of ten minutes that hand their state on.

    python benchmarks/gpu/train_small.py -o piece1 [--minutes 9] [--clips 4000] [--steps 60000] …
    python benchmarks/gpu/train_small.py -o piece2 --after piece1 …

Runs from a bare checkout with torch, numpy, numba, OpenCV, scipy, pydantic, safetensors, scikit-image and
matplotlib; no ROS, no diffusers and no network. Every piece renders clips of scenes that no piece before it
had, on all cores, and trains on them until its minutes are over; the learning rate falls over the ``steps``
of all pieces together. A piece's folder holds the state in files of at most 15 MiB, ``piece.json`` (what
was done, on what) and ``model/`` and ``structure_encoder/``, which `reconx train validate` and `export`
take. ``--tiny`` runs on the CPU, to try the script: its figures say nothing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import reconx_ros  # noqa: F401  before torch: it says how OpenMP threads wait

# isort: split
import argparse
import json
import multiprocessing
import os
import tempfile
import time
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from reconx_ros.diffusion.training.config import TrainingConfig
from reconx_ros.diffusion.training.loop import ENCODER, MODEL, train
from reconx_ros.diffusion.training.shards import MANIFEST, prepare
from reconx_ros.diffusion.training.state import STATE
from reconx_ros.machine import processor_name
from reconx_ros.progress import Silent
from reconx_ros.simulation.clips import ClipConfig

PIECE = "piece.json"
MOST_BYTES = 15 * 2**20
FIRST_SCENE, SCENES_A_PIECE = 1_000_000, 100_000
"""Scenes below are those of `reconx train prepare`."""

TINY = {"widths": (8, 16, 16, 16), "bf16": False}


class Until(Silent):
    """Asks to stop when the time is over, and prints now and then."""

    def __init__(self, end: float) -> None:
        self._end, self._said = end, 0.0

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Print at most every ten seconds."""
        if time.monotonic() > self._said + 10:
            self._said = time.monotonic()
            print(f"{stage}: {done}/{total} {note}", flush=True)

    def cancelled(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._end


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("-o", "--output", type=Path, required=True, help="folder of this piece")
    made.add_argument("--after", type=Path, help="folder of the piece before")
    made.add_argument("--start", type=Path, help="folder of weights to begin the first piece with")
    made.add_argument("--minutes", type=float, default=9.0, help="of this piece, rendering included")
    made.add_argument("--clips", type=int, default=4000, help="rendered for this piece")
    made.add_argument("--steps", type=int, default=60_000, help="of all pieces together")
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--frames", type=int, default=1)
    made.add_argument("--flow", type=float, default=0.2)
    made.add_argument("--learning-rate", type=float, default=6e-4)
    made.add_argument("--structure", action="store_true")
    made.add_argument("--tiny", action="store_true", help="a tiny model on the CPU")
    return made


def rendered(folder: Path, clips: int, piece: int, tiny: bool) -> int:
    """Render the clips of a piece on all cores; return how many there are."""
    cores = 1 if tiny else os.cpu_count() or 1
    config = ClipConfig(size=(48, 64), frames=2) if tiny else ClipConfig()
    first = FIRST_SCENE + piece * SCENES_A_PIECE
    each = -(-clips // cores)
    jobs = [
        (folder / str(core), each, config, first + core * (SCENES_A_PIECE // cores), 1 if tiny else 8)
        for core in range(cores)
    ]
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        pool.map(fill, jobs)
    return joined(folder)


def fill(job: tuple[Path, int, ClipConfig, int, int]) -> None:
    """Render one core's share."""
    folder, clips, config, first, scenes = job
    torch.set_num_threads(1)
    prepare(folder, clips, config, first, Silent(), scenes=scenes)


def joined(folder: Path) -> int:
    """Put the shards of all cores into ``folder`` itself."""
    shards: dict[str, int] = {}
    for part in sorted(each for each in folder.iterdir() if each.is_dir()):
        manifest = json.loads((part / MANIFEST).read_text())
        for name, count in manifest["shards"].items():
            (part / name).rename(folder / f"{part.name}-{name}")
            shards[f"{part.name}-{name}"] = count
    (folder / MANIFEST).write_text(json.dumps({"kind": manifest["kind"], "shards": shards}))
    return sum(shards.values())


def split(state: Path, output: Path) -> None:
    """Write a state as files of at most ``MOST_BYTES``."""
    tensors, part, size, number = load_file(state), dict[str, Tensor](), 0, 0
    with safe_open(state, "pt") as opened:
        told = opened.metadata()
    for name, value in sorted(tensors.items()):
        bytes_of = value.numel() * value.element_size()
        if part and size + bytes_of > MOST_BYTES:
            save_file(part, output / f"state-{number}.safetensors", told)
            part, size, number = {}, 0, number + 1
        part[name], size = value, size + bytes_of
    save_file(part, output / f"state-{number}.safetensors", told)


def unsplit(folder: Path, state: Path) -> None:
    """Undo ``split``."""
    files = sorted(folder.glob("state-*.safetensors"))
    if not files:
        raise SystemExit(f"{folder} holds no state of a piece")
    tensors = {name: value for file in files for name, value in load_file(file).items()}
    with safe_open(files[0], "pt") as opened:
        save_file(tensors, state, opened.metadata())


def main() -> None:
    """Train one piece."""
    arguments = parser().parse_args()
    begun = time.monotonic()
    device = "cpu" if arguments.tiny else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device; --tiny tries the script without one")
    before = json.loads((arguments.after / PIECE).read_text()) if arguments.after else None
    number = 0 if before is None else before["piece"] + 1
    names = ("steps", "batch", "frames", "flow", "learning_rate", "structure")
    config = TrainingConfig(
        **{name: getattr(arguments, name) for name in names},
        **(TINY if arguments.tiny else {}),
        seed=number,
        save_every=10**9,
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        clips, run = Path(scratch) / "clips", Path(scratch) / "run"
        clips.mkdir()
        run.mkdir()
        held = rendered(clips, arguments.clips, number, arguments.tiny)
        rendering = time.monotonic() - begun
        print(f"{held} clips in {rendering:.0f} s", flush=True)
        if arguments.after:
            unsplit(arguments.after, run / STATE)
        until = Until(begun + 60 * arguments.minutes)
        start = arguments.start if before is None else None
        began = time.monotonic()
        done = train(clips, run, config, True, device, until, start)
        seconds = time.monotonic() - began
        split(run / STATE, arguments.output)
        for name in (MODEL, ENCODER):
            if (run / name).exists():
                (run / name).rename(arguments.output / name)
        (run / "log.csv").rename(arguments.output / "log.csv")
    steps = done.step - (0 if before is None else before["step"])
    told: dict[str, Any] = {
        "piece": number,
        "step": done.step,
        "of": config.steps,
        "clips": held,
        "render_s": round(rendering, 1),
        "train_s": round(seconds, 1),
        "frames_per_s": round(steps * config.batch * config.frames / seconds, 1),
        "machine": torch.cuda.get_device_name() if device == "cuda" else processor_name(),
        "torch": torch.__version__,
    }
    (arguments.output / PIECE).write_text(json.dumps(told, indent=1) + "\n")
    print(told, flush=True)


if __name__ == "__main__":
    main()
