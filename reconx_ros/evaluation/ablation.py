"""`reconx evaluate --ablate`: what each part of the method brings, on views that no stage has seen.

Every rung (``rungs.py``) runs the one pipeline with its own configuration on the same inputs, the same
geometry and the same seeds, and is measured on the same pixels of the same held-out views. Differences
in PSNR are means over the views, with the 95 % interval of a bootstrap over them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.config import ReconxConfig
from reconx_ros.evaluation.ablation_table import Row, plot_rungs, print_rungs
from reconx_ros.evaluation.baselines import PointsBaseline
from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.interval import gain
from reconx_ros.evaluation.metrics import Mask
from reconx_ros.evaluation.rungs import Rung, applied, rungs
from reconx_ros.evaluation.score import Score, mean_score
from reconx_ros.evaluation.split import Split
from reconx_ros.evaluation.task import read_task, view_scores
from reconx_ros.geometry.choose import choose_geometry
from reconx_ros.geometry.protocol import Geometry, GeometryEstimate
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import describe_machine
from reconx_ros.mapping.folder import check_writable
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.progress import Progress, Silent

FILE, PICTURE = "ablation.json", "ablation.png"
COMPARED = ("psnr", "psnr_covered", "psnr_uncovered")
"""Figures whose difference from another rung is given with an interval."""

Figures = dict[str, float | None]
"""Those of one held-out view, by name; ``None`` where it has none, for want of such pixels."""


class Remembered:
    """A geometry room that is asked once; the views must be the same ones each time."""

    def __init__(self, room: Geometry) -> None:
        self.name, self._room = room.name, room
        self._answer: GeometryEstimate | None = None

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Return the room's first answer."""
        if self._answer is None:
            self._answer = self._room.estimate(keyframes, progress, only)
        return self._answer


def ablate(
    source: Path,
    config: ReconxConfig,
    inputs: str,
    hold_out: str,
    output: Path,
    progress: Progress | None = None,
    image_width: int | None = None,
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run every rung on ``source`` and write ``ablation.json`` and ``ablation.png``; print a table.

    The file is written after every rung; when ``progress`` asks to stop, it holds the rungs that were
    finished by then.

    Args:
        source: a bag or a folder.
        config: the full method.
        inputs: number of input views, or ``all`` (``protocol.evaluate``).
        hold_out: which frames are measured on.
        output: folder, made if need be.
        progress: told about each step; asked whether to stop.
        image_width: that all frames are reduced to first.
        only: names of the rungs to run; all where not given.

    Returns:
        What ``ablation.json`` holds.

    Raises:
        ReconxError: bad specification, source or output folder, or nothing to ablate.
    """
    ladder, progress = rungs(config, only), progress or Silent()
    check_writable(output)
    task = read_task(source, config, inputs, hold_out, progress, image_width)
    room = choose_geometry(task.config.geometry, task.keyframes, task.split.metric)
    geometry, covered, rows = Remembered(room), list[Mask](), list[Row]()
    found = {"settings": task.settings(), "machine": describe_machine(), "rungs": rows, "partial": True}
    for number, rung in enumerate(ladder):
        if progress.cancelled():
            break
        own = applied(rung, task.config)
        result = reconstruct_keyframes(task.keyframes, own, progress, task.split.metric, geometry=geometry)
        covered = covered or covered_by_inputs(task.split, result)
        scores = view_scores(task, result, covered, own.drawing, progress)
        if progress.cancelled():
            break
        rows.append(_row(rung, result, scores, rows))
        found |= {"covered_share": _share(covered), "partial": _is_partial(task.split, rows, ladder)}
        _write(found, output)
        progress.update("ablate", number + 1, len(ladder), rung.name)
    _write(found, output)
    print_rungs(rows, output / FILE)
    if rows:
        plot_rungs(rows, output / PICTURE)
    return found


def covered_by_inputs(split: Split, result: Reconstruction) -> list[Mask]:
    """Return for each held-out view which pixels the inputs cover, [H, W]."""
    splats = PointsBaseline(split.inputs, result.cloud)
    return [
        covered_pixels(view, split.inputs, splats.render(view.camera)[1], split.metric)
        for view in split.held_out
    ]


def _row(rung: Rung, result: Reconstruction, scores: list[Score], before: Sequence[Row]) -> Row:
    report = result.report
    views = [one.json() for one in scores]
    other = next((row["views"] for row in before if row["name"] == rung.against), views)
    return {
        "name": rung.name,
        "what": rung.what,
        "against": rung.against,
        "change": rung.change,
        "mean": mean_score(scores).json(),
        "difference": {name: difference(views, other, name) for name in COMPARED},
        "views": views,
        "synthesizer": report["synthesizer"],
        "synthesis": report["synthesis"],
        "generated_frames": report["generated_frames"],
        "gaussians": len(result.gaussians),
        "seconds": report["seconds"],
    }


def difference(views: Sequence[Figures], other: Sequence[Figures], name: str) -> dict[str, float] | None:
    """Return by how many dB the figure ``name`` of ``views`` is better than in ``other``, the same views.

    As ``mean``, ``low`` and ``high`` of its 95 % interval; ``None`` where no view has the figure.
    """
    mine, theirs = (np.array([[view[name]] for view in rows], float) for rows in (views, other))
    found = gain(mine, theirs)
    return {key: value for key, value in asdict(found).items() if key != "clips"} if found.clips else None


def _is_partial(split: Split, rows: Sequence[Row], ladder: Sequence[Rung]) -> bool:
    return split.partial or len(rows) < len(ladder)


def _share(covered: Sequence[Mask]) -> float:
    return float(np.mean([mask.mean() for mask in covered]))


def _write(found: dict[str, Any], output: Path) -> None:
    (output / FILE).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
