"""Part ``lean`` of ``synthesis.py``: what a network loses that sees no more than it uses."""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.film import Film
from reconx_ros.diffusion.small.lean import lean
from reconx_ros.diffusion.small.load import load_film
from reconx_ros.diffusion.small.observation import Observation
from reconx_ros.diffusion.training.contest import decibels
from reconx_ros.diffusion.training.inputs import observation_of, points_of
from reconx_ros.diffusion.training.pairs import TARGETS, real_records
from reconx_ros.diffusion.training.records import Example, unpack

SIZE = (192, 256)
MOST = 25


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield dB lost in holes and on covered pixels, and the share of the time, for each kind of target."""
    film = load_film(arguments.weights)
    for kind in TARGETS:
        records = real_records(arguments.real, kind, SIZE)
        rows = [compared(film, unpack([each])) for each in records[:: max(1, len(records) // MOST)]]
        means = np.nanmean(np.array(rows), axis=0)
        names = ("holes_db", "covered_db", "seconds")
        whole, few = (dict(zip(names, part.round(4).tolist(), strict=True)) for part in means)
        print(kind, {"whole": whole, "lean": few}, flush=True)
        yield {"size": f"{SIZE[1]}x{SIZE[0]}", kind: {"frames": len(rows), "whole": whole, "lean": few}}


@torch.no_grad()
def compared(film: Film, example: Example) -> list[list[float]]:
    """Return dB in holes and on covered pixels and seconds of one frame, for the whole and the lean one."""
    seen = observation_of(example)
    return [judged(film, example, each) for each in (seen, lean(seen))]


def judged(film: Film, example: Example, seen: Observation) -> list[float]:
    """Return what one observation of an example gives."""
    drawn = torch.Generator().manual_seed(0)
    tokens = film.encoder and film.encoder(points_of(example), example.reference_pose[:, 0], drawn)
    begun = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        image = film.network(seen, tokens).image.clamp(0, 1)
    seconds = time.perf_counter() - begun
    covered = cropped(example.render.coverage.amax(2), example.render.margin)
    found = (decibels(image, example.truth, region) for region in (1 - covered, covered))
    return [*(float(np.nanmean(each)) for each in found), seconds]
