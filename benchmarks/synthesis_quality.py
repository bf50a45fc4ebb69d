"""Part ``quality`` of ``synthesis.py``: figures of every contender on every set of clips."""

import argparse
import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reconx_ros.diffusion.small.film import Film
from reconx_ros.diffusion.small.load import load_film
from reconx_ros.diffusion.training.contest import (
    GUESSED,
    MODEL,
    WITHOUT_STRUCTURE,
    Floats,
    Outcome,
    contest,
    ways_of,
)
from reconx_ros.diffusion.training.figures import REGIONS, TRUTH, Figures, figures_of, unsteadiness
from reconx_ros.diffusion.training.figures import Table as Rows
from reconx_ros.diffusion.training.pairs import TARGETS, real_clips
from reconx_ros.diffusion.training.records import Record, record, unpack
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.diffusion.training.sheet import contact_sheet
from reconx_ros.evaluation.interval import Gain, gain, ratio
from reconx_ros.simulation.clips import Clip
from reconx_ros.simulation.simulate import simulate
from reconx_ros.viewer.png import write_png

AGAINST = {"holes": "push-pull", "covered": "push-pull-blur"}
FRAMES, EVERY = 3, 3
ROOM_FRAMES = 90
FIRST_ROOM = 900
COLUMNS = ("push-pull", GUESSED, MODEL, f"{MODEL}, 4 steps", f"{MODEL}, 10 steps", WITHOUT_STRUCTURE)
SHOWN = 5
KEYS = ("psnr", "psnr_gain", "learnt_gain", "ssim", "flip", "gradient_energy")
Measured = tuple[Outcome, Figures, Rows | None]


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the figures of every set, print tables, write the contact sheet where asked."""
    film = load_film(arguments.weights)
    steps = tuple(int(part) for part in arguments.steps.split(","))
    sheet: list[NDArray[np.float32]] = []
    for name, clips in sets(arguments):
        outcomes: list[Measured] = []
        for number, (each, clip) in enumerate(clips):
            outcomes.append(judged(film, steps, each, clip))
            if arguments.sheet and number % max(1, len(clips) // SHOWN) == 0:
                sheet.append(contact_sheet(outcomes[-1][0], unpack([each]).truth, number % FRAMES, COLUMNS))
        found = summary(outcomes)
        for region in REGIONS:
            Console(width=150).print(table(f"{name}, {region}", found[region], AGAINST[region]))
        if arguments.sheet:
            write_png(arguments.sheet, np.concatenate(sheet))
        yield {"weights": arguments.weights.name, "sets": {name: found}}


def sets(arguments: argparse.Namespace) -> Iterator[tuple[str, list[tuple[Record, Clip | None]]]]:
    """Yield the sets by name; clips whose frames follow each other come with themselves."""
    store = ClipStore(arguments.clips)
    size = (int(store[0]["truth"].shape[-2]), int(store[0]["truth"].shape[-1]))
    yield "procedural", [(store[number], None) for number in range(min(arguments.most, len(store)))]
    for kind in TARGETS:
        if arguments.real:
            yield f"real, {kind}", recorded(arguments.real, kind, size)
    with tempfile.TemporaryDirectory() as folder:
        bags = [Path(folder) / str(seed) for seed in range(FIRST_ROOM, FIRST_ROOM + arguments.rooms)]
        for seed, bag in enumerate(bags, FIRST_ROOM):
            simulate(bag, seed=seed, frames=ROOM_FRAMES, width=size[1], height=size[0], noise=True)
        for kind in TARGETS:
            clips = [each for bag in bags for each in recorded(bag, kind, size)]
            if clips:
                yield f"rooms, {kind}", clips


def recorded(source: Path, kind: str, size: tuple[int, int]) -> list[tuple[Record, Clip | None]]:
    """Return the clips of a recording."""
    return [(record(clip), clip) for clip in real_clips(source, kind, size, FRAMES, EVERY)]


def judged(film: Film, steps: tuple[int, ...], each: Record, clip: Clip | None) -> Measured:
    """Let every contender predict one clip, and measure it."""
    example = unpack([each])
    ways = ways_of(film.network, steps, film.encoder is not None)
    outcome = contest(film.network, example, film.encoder, ways)
    steady = None if clip is None else unsteadiness(outcome, clip)
    return outcome, figures_of(outcome, example.truth), steady


def summary(outcomes: list[Measured]) -> dict[str, Any]:
    """Return region → contender → figure, with intervals over the clips."""
    regions: dict[str, Any] = {
        "hole_share": float(np.mean([1 - float(outcome.covered.mean()) for outcome, _, _ in outcomes]))
    }
    for region in REGIONS:
        decibels = stacked([vars(outcome)[f"{region}_db"] for outcome, _, _ in outcomes])
        ssim, flip, energy = (
            stacked([vars(figures)[kind][region] for _, figures, _ in outcomes])
            for kind in ("ssim", "flip", "energy")
        )
        steady = stacked([rows[region] for _, _, rows in outcomes if rows is not None])
        other = AGAINST[region]
        regions[region] = {
            name: {
                "psnr": mean(decibels[name]),
                "psnr_gain": interval(gain(decibels[name], decibels[other])),
                "learnt_gain": interval(gain(decibels[name], decibels[GUESSED])),
                "ssim": mean(ssim[name]),
                "ssim_gain": interval(gain(ssim[name], ssim[other])),
                "flip": mean(flip[name]),
                "flip_gain": interval(gain(flip[name], flip[other])),
                "gradient_energy": interval(ratio(energy[name], energy[TRUTH])),
                **({"unsteadiness": mean(steady[name])} if steady else {}),
            }
            for name in decibels
        }
        if steady:
            regions[region][TRUTH] = {"unsteadiness": mean(steady[TRUTH])}
    return regions


def stacked(rows: list[dict[str, Floats]]) -> dict[str, Floats]:
    """Return contender → [clips, F]."""
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]} if rows else {}


def mean(values: Floats) -> float | None:
    """Return the mean of what was measured."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def interval(found: Gain) -> dict[str, float] | None:
    """Return a gain for JSON, ``None`` where nothing was measured."""
    return None if math.isnan(found.mean) else asdict(found)


def table(title: str, rows: dict[str, Any], against: str) -> Table:
    """Lay out a region of a set."""
    made = Table(title=title)
    gains = (f"over {against}", "over guessed depth")
    for column in ("contender", "PSNR", *gains, "SSIM", "FLIP", "gradient energy", "unsteadiness"):
        made.add_column(column, justify="left" if column == "contender" else "right")
    for name, row in rows.items():
        made.add_row(
            name,
            *(cell(row.get(key)) for key in KEYS),
            cell(row.get("unsteadiness"), 4),
        )
    return made


def cell(value: float | dict[str, float] | None, digits: int = 3) -> str:
    """Return a figure as text."""
    if isinstance(value, dict):
        return f"{value['mean']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}]"
    return "-" if value is None else f"{value:.{digits}f}"
