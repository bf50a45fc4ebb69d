"""How often the shipped model is right, by what it says, on clips that its curves were not fitted to."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconx_ros.cli.progress import shown_progress
from reconx_ros.diffusion.reliability import load
from reconx_ros.diffusion.small.load import load_film
from reconx_ros.diffusion.small.names import CURVES
from reconx_ros.diffusion.training.calibrate import checked
from reconx_ros.diffusion.training.shards import ClipStore


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield for the model and its fill the gap, and what was right in each bin of confidence."""
    model = load_film(arguments.weights).network
    curves = load(arguments.weights / CURVES)
    picture = arguments.sheet or Path("reliability.png")
    with shown_progress() as progress:
        tests = checked(model, curves, arguments.clips, picture, progress)
    yield {"clips": len(ClipStore(arguments.clips)), **tests}
