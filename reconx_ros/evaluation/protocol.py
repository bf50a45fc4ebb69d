"""The held-out protocol: reconstruct from some frames, measure on others that no stage has seen.

Every held-out frame is rendered at its full size from its recorded pose and compared with the photo,
beside two plain baselines made of the same inputs. All three are drawn over the mean colour of the
inputs. What counts as covered is said in ``reconx_ros.evaluation.coverage``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.evaluation.baselines import Baseline, PointsBaseline, TsdfBaseline
from reconx_ros.evaluation.calibration import Calibration
from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.metrics import Image, Mask
from reconx_ros.evaluation.score import Score, mean_score, score
from reconx_ros.evaluation.split import Split
from reconx_ros.evaluation.table import print_table
from reconx_ros.evaluation.task import picture_of, read_task
from reconx_ros.evaluation.tsdf import has_depth
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.machine import describe_machine, peak_memory
from reconx_ros.mapping.folder import check_writable, save
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.progress import Progress, Silent
from reconx_ros.stopwatch import Stopwatch
from reconx_ros.viewer.comparison import ComparisonWriter
from reconx_ros.viewer.report import write_report

OURS = "ours"


@dataclass(frozen=True)
class ViewResult:
    """One held-out view: the score of each contender and the share of pixels the inputs cover."""

    name: str
    covered: float
    scores: Mapping[str, Score]


def evaluate(
    source: Path,
    config: ReconxConfig,
    inputs: str,
    hold_out: str,
    output: Path,
    progress: Progress | None = None,
    image_width: int | None = None,
) -> dict[str, Any]:
    """Reconstruct ``source`` without its held-out frames and measure on those.

    Writes the run folder (map, cloud, cameras, report), ``metrics.json`` and ``comparison/*.png`` to
    ``output`` and prints a table.

    Args:
        source: a bag or a folder.
        config: every stage's settings.
        inputs: number of input views, evenly spaced among those not held out, or ``all``.
        hold_out: ``every:8``, ``every:8+4`` or frame numbers ``3,10``.
        output: folder, made if need be.
        progress: told about each step; when it asks to stop, what is measured by then is written.
        image_width: pixels that all frames, held-out ones too, are reduced to before anything else; the
            inputs are then not reduced any further. By default held-out frames keep their full size.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        ReconxError: bad specification, source or output folder; one line says why.
    """
    check_writable(output)
    progress, watch = progress or Silent(), Stopwatch()
    with watch.stage("read"):
        task = read_task(source, config, inputs, hold_out, progress, image_width)
    split, config = task.split, task.config
    result = reconstruct_keyframes(task.keyframes, config, progress, split.metric)
    result.report.update(partial=split.partial, source={"path": str(source), "warnings": split.warnings})
    save(result, output, config)
    write_report(result, output, config.drawing)
    memory, calibration = peak_memory(), Calibration()
    views = _measure(split, result, config, output, progress, watch, calibration)
    metrics = {
        **_figures(views),
        "seconds": {**watch.seconds, **result.report["seconds"]},
        "peak_memory_bytes": memory,
        "settings": task.settings(),
        "calibration": calibration.json(),
        "gaussians": len(result.gaussians),
        "partial": split.partial or progress.cancelled(),
        "warnings": split.warnings,
        "machine": describe_machine(),
    }
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    print_table(metrics, output)
    return metrics


def _measure(
    split: Split,
    result: Reconstruction,
    config: ReconxConfig,
    output: Path,
    progress: Progress,
    watch: Stopwatch,
    calibration: Calibration,
) -> list[ViewResult]:
    contenders = _contenders(split, result, config, watch)
    pictures = ComparisonWriter(output / "comparison")
    results: list[ViewResult] = []
    for view in split.held_out:
        if progress.cancelled():
            break
        result_of_view, picture = _measure_view(view, split, contenders, pictures, watch)
        calibration.add(result.gaussians, picture, view, config.drawing)
        results.append(result_of_view)
        note = f"{results[-1].scores[OURS].psnr_covered:.1f} dB"
        progress.update("evaluate", len(results), len(split.held_out), note)
    pictures.finish()
    return results


def _contenders(
    split: Split, result: Reconstruction, config: ReconxConfig, watch: Stopwatch
) -> dict[str, Callable[[Camera], tuple[Image, Mask]]]:
    def ours(camera: Camera) -> tuple[Image, Mask]:
        return picture_of(result, camera, config.drawing)

    baselines: dict[str, Baseline] = {}
    with watch.stage("baseline_points"):
        baselines["points"] = PointsBaseline(split.inputs, result.cloud)
    if any(has_depth(view) for view in split.inputs):
        with watch.stage("baseline_tsdf"):
            baselines["tsdf"] = TsdfBaseline(split.inputs, split.metric)
    return {OURS: ours, **{name: baseline.render for name, baseline in baselines.items()}}


def _measure_view(
    view: Keyframe,
    split: Split,
    contenders: Mapping[str, Callable[[Camera], tuple[Image, Mask]]],
    pictures: ComparisonWriter,
    watch: Stopwatch,
) -> tuple[ViewResult, Image]:
    """Return the scores of a view and our picture of it."""
    truth = view.image.astype(np.float32) / np.float32(255)
    images: dict[str, Image] = {}
    masks: dict[str, Mask] = {}
    for name, render in contenders.items():
        with watch.stage("render" if name == OURS else f"baseline_{name}"):
            images[name], masks[name] = render(view.camera)
    with watch.stage("metrics"):
        covered = covered_pixels(view, split.inputs, masks["points"], split.metric)
        scored = {name: score(image, truth, covered) for name, image in images.items()}
    pictures.add(view.name, truth, images, scored[OURS][1], covered)
    scores = {name: one for name, (one, _) in scored.items()}
    return ViewResult(view.name, float(covered.mean()), scores), images[OURS]


def _figures(views: list[ViewResult]) -> dict[str, Any]:
    """Lay out ``views`` and ``mean`` of ours, and the same of each baseline."""
    names = views[0].scores if views else (OURS, "points")
    tables = {name: _table(views, name) for name in names}
    ours = tables.pop(OURS)
    baselines = {name: {**table["mean"], "views": table["views"]} for name, table in tables.items()}
    return {**ours, "baselines": {"points": None, "tsdf": None, **baselines}}


def _table(views: list[ViewResult], name: str) -> dict[str, Any]:
    rows = [{"name": v.name, **v.scores[name].json(), "covered": v.covered} for v in views]
    return {"views": rows, "mean": mean_score([v.scores[name] for v in views]).json()}
