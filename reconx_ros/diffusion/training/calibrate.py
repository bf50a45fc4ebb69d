"""How often a model is right, by what it says: fitted on half of the clips, tested on the others."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.diffusion.reliability import COLOUR_TOLERANCE, Floats, Reliability, fit
from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.names import FILL, SMALL
from reconx_ros.diffusion.small.network import SmallNetwork
from reconx_ros.diffusion.training.inputs import observation_of
from reconx_ros.diffusion.training.records import unpack
from reconx_ros.diffusion.training.shards import ClipStore
from reconx_ros.progress import Progress

PIXEL_STRIDE = 3
BINS = 10

Pixels = dict[str, list[tuple[Floats, NDArray[np.bool_]]]]


def calibrate(
    model: SmallNetwork, data: Path, picture: Path, progress: Progress
) -> tuple[dict[str, Reliability], dict[str, Any]]:
    """Fit the reliability of the model and of its fill, and draw both.

    Args:
        model: to be calibrated.
        data: clips of `train prepare` that the model was not trained on.
        picture: PNG of the reliability curves on the clips that were not fitted to.
        progress: told about every clip.

    Returns:
        Curves by contender, and for each the expected calibration error on the other half.

    Raises:
        SourceError: no clips in ``data``.
    """
    halves = [_of_clips(model, data, parity, progress) for parity in (0, 1)]
    fitted = {name: fit(*_joined(rows)) for name, rows in halves[0].items()}
    tests = {name: _test(fitted[name], *_joined(rows)) for name, rows in halves[1].items()}
    _plot(tests, picture)
    both = {name: fit(*_joined(halves[0][name] + halves[1][name])) for name in fitted}
    return both, tests


def checked(
    model: SmallNetwork, curves: Mapping[str, Reliability], data: Path, picture: Path, progress: Progress
) -> dict[str, Any]:
    """Test given curves on clips that they were not fitted to, and draw what comes of it.

    Args:
        model: whose curves they are.
        curves: by contender.
        data: clips of `train prepare`.
        picture: PNG of the reliability curves.
        progress: told about every clip.

    Returns:
        By contender: the expected calibration error, and for each bin of confidence what was right.

    Raises:
        SourceError: no clips in ``data``.
    """
    rows = _of_clips(model, data, None, progress)
    tests = {name: _test(curves[name], *_joined(pixels)) for name, pixels in rows.items()}
    _plot(tests, picture)
    return tests


def _of_clips(model: SmallNetwork, data: Path, parity: int | None, progress: Progress) -> Pixels:
    """Return the pixels of all clips, or of those of even or odd number."""
    store = ClipStore(data)
    found: Pixels = {SMALL: [], FILL: []}
    for number in range(len(store)):
        if parity is None or number % 2 == parity:
            for name, pixels in _pixels(model, store, number):
                found[name].append(pixels)
        progress.update("calibrate", number + 1, len(store))
    return found


def _pixels(
    model: SmallNetwork, store: ClipStore, number: int
) -> Iterator[tuple[str, tuple[Floats, NDArray[np.bool_]]]]:
    example = unpack([store[number]])
    with torch.no_grad():
        seen = observation_of(example)
        made = model(seen)
    base, doubt = (cropped(each, seen.margin) for each in (seen.base, seen.uncertainty))
    deviation = (made.log_variance / 2).exp()
    for name, image, says in ((SMALL, made.image, deviation), (FILL, base, doubt)):
        right = (image.clamp(0, 1) - example.truth).abs().mean(2, keepdim=True) <= COLOUR_TOLERANCE
        yield name, (_few(says).astype(np.float32), _few(right))


def _few(image: Tensor) -> NDArray[Any]:
    return np.asarray(image[..., ::PIXEL_STRIDE, ::PIXEL_STRIDE].flatten().numpy())


def _joined(rows: list[tuple[Floats, NDArray[np.bool_]]]) -> tuple[Floats, NDArray[np.bool_]]:
    says, right = zip(*rows, strict=True)
    return np.concatenate(says), np.concatenate(right)


def _test(curve: Reliability, says: Floats, right: NDArray[np.bool_]) -> dict[str, Any]:
    said = curve.confidence(says)
    place = np.clip((said * BINS).astype(int), 0, BINS - 1)
    bins = [place == number for number in range(BINS)]
    rows = [
        {"confidence": float(said[b].mean()), "right": float(right[b].mean()), "pixels": int(b.sum())}
        for b in bins
        if b.any()
    ]
    gap = sum(row["pixels"] * abs(row["confidence"] - row["right"]) for row in rows) / len(said)
    return {"expected_error": gap, "bins": rows}


def _plot(tests: Mapping[str, dict[str, Any]], picture: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, test in tests.items():
        points = [(row["confidence"], row["right"]) for row in test["bins"]]
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{name}: gap {test['expected_error']:.3f}")
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(picture, dpi=110)
