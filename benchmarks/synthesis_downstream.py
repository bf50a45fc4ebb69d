"""Part ``downstream`` of ``synthesis.py``: the finished map with synthesis and without."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconx_ros.cli.progress import PlainProgress
from reconx_ros.config import load_config
from reconx_ros.errors import GeometryError
from reconx_ros.evaluation.ablation import ablate
from reconx_ros.evaluation.rungs import FULL, GROUND, ON_FAITH
from reconx_ros.simulation.simulate import simulate

WIDTH = 320
HOLD_OUT, ROOM_HOLD_OUT = "every:8", "every:4"
ROOM_FRAMES, ROOM_INPUTS, FIRST_ROOM, ROOMS = 40, 4, 900, 12
"""Twelve rooms, since one alone may have its window beside the hole; four inputs leave a sixth unseen."""

SECONDS = 600
"""Time to film in, so that a busy machine films as many frames as an idle one."""

RECORDINGS = {"redkitchen_bag": (2, 3, 4), "fern": (2, 3), "fox": (2, 3, 4, 5, 6)}


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Reconstruct every case twice; print and yield what synthesis brings."""
    settings = {"synthesizer": arguments.synthesizer, "preset": "fast", "image_width": WIDTH}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        output = arguments.output or scratch / "out"
        output.mkdir(parents=True, exist_ok=True)
        for name, source, inputs, held_out in cases(arguments, scratch):
            try:
                found = compared(arguments, source, inputs, held_out, output / name.replace(" ", "-"))
            except GeometryError as err:
                print(name, err, flush=True)
                yield {**settings, "cases": {name: {"inputs": inputs, "error": str(err)}}}
                continue
            gains = (f"{key} {value}" for key, value in found["gain"].items())
            print(name, found["synthesizer"], *gains, flush=True)
            yield {**settings, "cases": {name: found}}


def cases(
    arguments: argparse.Namespace,
    scratch: Path,
    rooms: int = ROOMS,
    recordings: dict[str, tuple[int, ...]] = RECORDINGS,
) -> Iterator[tuple[str, Path, int, str]]:
    """Yield name, source, number of inputs and held-out frames of those asked for."""
    wanted = [part for part in arguments.cases.split(",") if part]

    def asked(name: str) -> bool:
        return not wanted or any(part in name for part in wanted)

    for seed in range(FIRST_ROOM, FIRST_ROOM + rooms):
        if asked(f"room {seed}"):
            bag = scratch / str(seed)
            simulate(bag, seed=seed, frames=ROOM_FRAMES, width=WIDTH, height=3 * WIDTH // 4, noise=True)
            yield f"room {seed}", bag, ROOM_INPUTS, ROOM_HOLD_OUT
    for recording, counts in recordings.items():
        for count in counts:
            if arguments.data and asked(f"{recording} {count}"):
                yield f"{recording} {count}", arguments.data / recording, count, HOLD_OUT


def compared(
    arguments: argparse.Namespace, source: Path, inputs: int, held_out: str, output: Path
) -> dict[str, Any]:
    """Return the mean figures with and without synthesis, and the gain over the held-out views.

    With ``--anyway`` also the gain where the small model films whatever the contest says.
    """
    small = {"weights": arguments.weights}
    overrides = {"synthesis": {"method": arguments.synthesizer, "seconds": SECONDS, "small": small}}
    config = load_config("fast", None, overrides)
    asked = (GROUND, ON_FAITH, FULL) if arguments.anyway else (GROUND, FULL)
    figures = ablate(source, config, str(inputs), held_out, output, PlainProgress(60), WIDTH, asked)
    ground, *faith, full = figures["rungs"]
    return {
        "inputs": inputs,
        "views": len(full["views"]),
        "covered_share": figures["covered_share"],
        "synthesizer": full["synthesizer"],
        "why": full["synthesis"],
        "without": ground["mean"],
        "with": full["mean"],
        "gain": full["difference"],
        **({"anyway": faith[0]["difference"]} if faith else {}),
        "seconds": {"without": sum(ground["seconds"].values()), "with": sum(full["seconds"].values())},
    }
