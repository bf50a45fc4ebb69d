"""Contact sheets and curves: what figures do not say."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.diffusion.training.contest import GUESSED, MODEL, Outcome

COLUMNS = ("push-pull", "telea", GUESSED, MODEL)


def contact_sheet(
    outcome: Outcome, truth: Tensor, frame: int, columns: Sequence[str] = COLUMNS
) -> NDArray[np.float32]:
    """Return a row of pictures [h, …, 3]: what is covered, the contenders, the truth, 3 |last − truth|.

    Args:
        outcome: of one example; its first clip is shown.
        truth: [B, F, 3, h, w].
        frame: which of the clip's frames.
        columns: contenders to show, those of them that took part.
    """
    target = truth[0, frame]
    parts = [outcome.images["push-pull"][0, frame] * outcome.covered[0, frame]]
    parts += [outcome.images[name][0, frame] for name in columns if name in outcome.images]
    parts.append(target)
    parts.append((3 * (parts[-2] - target).abs()).clamp(0, 1))
    return np.asarray(torch.cat(parts, -1).permute(1, 2, 0).numpy(), np.float32)


def plot_curves(log: Path, picture: Path, smooth: int = 25) -> None:
    """Draw the gains over the push-pull fill and the loss of a training log, smoothed.

    Args:
        log: ``log.csv`` of a run.
        picture: PNG to write.
        smooth: rows averaged.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    table = np.genfromtxt(log, delimiter=",", names=True, ndmin=1)
    figure = Figure(figsize=(9, 4))
    left, right = figure.subplots(1, 2)
    width = max(1, min(smooth, len(table) // 4))
    steps = table["step"][width - 1 :]
    for name, label in (("holes_db", "holes"), ("covered_db", "covered")):
        left.plot(steps, np.convolve(table[name], np.ones(width) / width, "valid"), label=label)
    left.set(xlabel="step", ylabel="dB over push-pull (with guessed depth)")
    left.legend()
    right.plot(steps, np.convolve(table["loss"], np.ones(width) / width, "valid"))
    right.set(xlabel="step", ylabel="loss")
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
