"""Parts ``adapt`` and ``grounding`` of ``synthesis.py``: what two options bring the finished map.

``adapt``: the small model, trained first on the run's own keyframes, against the model as it ships; both
film on faith. What the contest says of them, and whom it lets film, stands beside. ``grounding``: a map of
all inputs is filmed and optimised once more, as ``--resume`` does, its frames pulled toward it or not.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthesis_downstream import SECONDS, WIDTH, cases

from reconx_ros.cli.progress import PlainProgress
from reconx_ros.config import ReconxConfig, changed, load_config, overlaid
from reconx_ros.evaluation.ablation import COMPARED, Figures, Remembered, covered_by_inputs, difference
from reconx_ros.evaluation.metrics import Mask
from reconx_ros.evaluation.task import Task, read_task, view_scores
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.pipeline import reconstruct_keyframes

ADAPT_SECONDS = 60
GROUNDINGS = (0.5, 1.0)
ROOMS, RECORDINGS = 2, {"redkitchen_bag": (4, 8), "fern": (3,), "fox": (6,)}
PROGRESS = PlainProgress(60)
ON_FAITH = {"synthesis": {"method": "small", "trust": {"keyframes": 0}}}


class Judged:
    """A case whose geometry is worked out once, and its maps on the same pixels of held-out views."""

    def __init__(self, source: Path, inputs: int, held_out: str) -> None:
        config = load_config("fast", None, {"synthesis": {"seconds": SECONDS}})
        self.task: Task = read_task(source, config, str(inputs), held_out, PROGRESS, WIDTH)
        self._room = Remembered(
            choose_geometry(self.task.config.geometry, self.task.keyframes, self.task.split.metric)
        )
        self._covered = list[Mask]()

    def map(self, change: dict[str, Any], start: Reconstruction | None = None) -> Reconstruction:
        """Return the map with ``change`` laid over the configuration."""
        config: ReconxConfig = changed(self.task.config, change)
        views, metric = self.task.keyframes, self.task.split.metric
        made = reconstruct_keyframes(views, config, PROGRESS, metric, start, self._room)
        self._covered = self._covered or covered_by_inputs(self.task.split, made)
        return made

    def figures(self, made: Reconstruction) -> list[Figures]:
        """Return those of each held-out view."""
        scores = view_scores(self.task, made, self._covered, self.task.config.drawing, PROGRESS)
        return [one.json() for one in scores]


def gains(mine: list[Figures], others: list[Figures]) -> dict[str, Any]:
    """Return by how many dB ``mine`` are better, over all pixels, covered and uncovered ones."""
    return {name: difference(mine, others, name) for name in COMPARED}


def adapt(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield for each case what adapting brings a model that films on faith, and the contest."""
    adapting = {"synthesis": {"adapt_seconds": ADAPT_SECONDS}}
    for name, judged in _asked(arguments):
        shipped = judged.figures(judged.map(ON_FAITH))
        adapted = judged.figures(judged.map(overlaid(ON_FAITH, adapting)))
        report = judged.map(adapting).report
        contest = report["synthesis"].get("contest", {})
        found = {"gain": gains(adapted, shipped), "contest": contest, "chosen": report["synthesizer"]}
        print(name, found["gain"], found["chosen"], flush=True)
        yield {"adapt_seconds": ADAPT_SECONDS, "cases": {name: found}}


def grounding(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield for each case what frames bring that are pulled toward the map so far."""
    for name, judged in _asked(arguments):
        start = judged.map({})
        plain = judged.figures(judged.map({}, start))
        found = {
            str(pull): gains(judged.figures(judged.map(_pulled(pull), start)), plain) for pull in GROUNDINGS
        }
        print(name, found, flush=True)
        yield {"cases": {name: found}}


def _pulled(pull: float) -> dict[str, Any]:
    return {"synthesis": {"small": {"grounding": pull}}}


def _asked(arguments: argparse.Namespace) -> Iterator[tuple[str, Judged]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, source, inputs, held_out in cases(arguments, Path(folder), ROOMS, RECORDINGS):
            yield name, Judged(source, inputs, held_out)
