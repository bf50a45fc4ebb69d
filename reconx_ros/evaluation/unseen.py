"""A live map against the frames of its recording that did not become keyframes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconx_ros.errors import MapError
from reconx_ros.evaluation.calibration import SHOWN
from reconx_ros.evaluation.coverage import covered_pixels
from reconx_ros.evaluation.score import Score, mean_score, score
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.appearance import read_appearance
from reconx_ros.mapping.folder import load_map
from reconx_ros.progress import Progress
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.viewer.comparison import ComparisonWriter


@dataclass(frozen=True)
class Unseen:
    """What ``score_unseen`` found.

    Attributes:
        mean: over the views.
        names: of the views.
        sheet: picture with every view: truth, ours, error.
    """

    mean: Score
    names: tuple[str, ...]
    sheet: Path


def score_unseen(
    folder: Path, recording: Path, stamps_ns: set[int], views: int, progress: Progress
) -> Unseen:
    """Render the map at frames that mapping never used and compare.

    Args:
        folder: of the map; gets ``pictures/``.
        recording: the bag the map was made of, with depth.
        stamps_ns: of the keyframes.
        views: most frames to compare, spread evenly over the recording.
        progress: told about each view.

    Raises:
        ReconxError: no map, no readable recording, or no frame beside the keyframes.
    """
    gaussians, appearance = load_map(folder), read_appearance(folder)
    inputs, others = _read(recording, stamps_ns)
    if not others:
        raise MapError(f"every frame of {recording} is a keyframe: none is left to compare with")
    chosen = [others[i] for i in sorted({round(x) for x in np.linspace(0, len(others) - 1, views)})]
    pictures, scores = ComparisonWriter(folder / "pictures"), list[Score]()
    for view in chosen:
        truth = view.image.astype(np.float32) / np.float32(255)
        image, _, alpha = render_view(gaussians, view.camera)
        image = appearance.develop(image, alpha, view.camera)
        covered = covered_pixels(view, inputs, alpha > SHOWN, metric=True)
        one, error = score(image, truth, covered)
        scores.append(one)
        pictures.add(view.name, truth, {"ours": image}, error, covered)
        progress.update("compare", len(scores), len(chosen), f"{one.psnr:.1f} dB")
    return Unseen(mean_score(scores), tuple(v.name for v in chosen), pictures.finish() or folder)


def _read(recording: Path, stamps_ns: set[int]) -> tuple[list[Keyframe], list[Keyframe]]:
    """Return the frames that are keyframes, and the posed others."""
    inputs: list[Keyframe] = []
    others: list[Keyframe] = []
    with open_source(recording, SourceConfig()) as source:
        for frame in source.frames():
            if frame.posed:
                (inputs if frame.stamp_ns in stamps_ns else others).append(frame)
    return inputs, others
