"""What a measurement starts from: the two sides of a source, and the inputs as every stage sees them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import Drawing, ReconxConfig, changed
from reconx_ros.evaluation.calibration import SHOWN
from reconx_ros.evaluation.hold_out import parse_hold_out, parse_inputs
from reconx_ros.evaluation.metrics import Image, Mask
from reconx_ros.evaluation.score import Score, score
from reconx_ros.evaluation.split import Split, read_split
from reconx_ros.geometry.choose import without_unused_depth
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Progress
from reconx_ros.splatting.rasterize import render_view


@dataclass(frozen=True, eq=False)
class Task:
    """A source to reconstruct and measure.

    Attributes:
        source: bag or folder.
        split: inputs and held-out frames at the size they are measured at.
        keyframes: the inputs at the size of ``config``, without depth that is not to be used.
        config: every stage's settings.
        hold_out: the rule of the split.
        image_width: that all frames were reduced to; ``None`` where held-out ones kept their size.
    """

    source: Path
    split: Split
    keyframes: list[Keyframe]
    config: ReconxConfig
    hold_out: str
    image_width: int | None

    def settings(self) -> dict[str, Any]:
        """Return what another needs to repeat the measurement, JSON-ready."""
        return {
            "source": str(self.source),
            "inputs": [view.name for view in self.split.inputs],
            "hold_out": self.hold_out,
            "image_width": self.image_width,
            "config": json.loads(self.config.model_dump_json()),
        }


def read_task(
    source: Path,
    config: ReconxConfig,
    inputs: str,
    hold_out: str,
    progress: Progress,
    image_width: int | None = None,
) -> Task:
    """Read and split ``source``; the arguments are those of ``protocol.evaluate``.

    Raises:
        ReconxError: bad specification or source; one line says why.
    """
    split = read_split(source, config.source, parse_hold_out(hold_out), parse_inputs(inputs), progress)
    if image_width is not None:
        split = split.reduced(image_width)
        config = changed(config, {"keyframes": {"image_width": image_width}})
    seen = without_unused_depth(config.geometry, split.inputs)
    keyframes = [reduce(view, config.keyframes.image_width) for view in seen]
    return Task(source, split, keyframes, config, hold_out, image_width)


def picture_of(result: Reconstruction, camera: Camera, drawing: Drawing) -> tuple[Image, Mask]:
    """Return the developed [H, W, 3] picture of a map and the [H, W] mask of pixels that show it."""
    image, _, alpha = render_view(result.gaussians, camera, *drawing)
    return result.appearance.develop(image, alpha, camera), alpha > SHOWN


def view_scores(
    task: Task, result: Reconstruction, covered: Sequence[Mask], drawing: Drawing, progress: Progress
) -> list[Score]:
    """Return how a map scores on the held-out views, in their order; fewer where ``progress`` stops it.

    Args:
        task: what was reconstructed.
        result: the map.
        covered: for each held-out view the [H, W] mask of what the inputs see.
        drawing: how the map is drawn.
        progress: told about each view; asked whether to stop.
    """
    scores: list[Score] = []
    for view, mask in zip(task.split.held_out, covered, strict=True):
        if progress.cancelled():
            break
        picture, _ = picture_of(result, view.camera, drawing)
        scores.append(score(picture, view.image.astype(np.float32) / np.float32(255), mask)[0])
        progress.update("evaluate", len(scores), len(covered))
    return scores
