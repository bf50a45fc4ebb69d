"""Held-out photos beside what the maps show: one strip a view, and all strips on one sheet."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconx_ros.viewer.png import to_uint8, write_png

LABEL_HEIGHT = 24
SHEET_TILE_WIDTH = 240
SHEET_ROWS = 24


class ComparisonWriter:
    """Writes ``NAME.png`` for each view (truth | maps ... | error) and ``sheet.png`` with all of them.

    The error is the FLIP map of the first contender (black: equal, bright: what an eye sees first);
    pixels the inputs do not cover are dimmed in it.

    Args:
        folder: made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows: list[NDArray[np.uint8]] = []
        self._labels: list[str] = []

    def add(
        self,
        name: str,
        truth: NDArray[np.float32],
        images: Mapping[str, NDArray[np.float32]],
        error: NDArray[np.float32],
        covered: NDArray[np.bool_],
    ) -> Path:
        """Write the strip of one view.

        Args:
            name: of the view, a file name without ending.
            truth: [H, W, 3] in [0, 1].
            images: [H, W, 3] of each contender.
            error: [H, W] in [0, 1].
            covered: [H, W].
        """
        shown = {f"truth {name}": truth, **images}
        pictures = {label: to_uint8(picture) for label, picture in shown.items()}
        pictures["error"] = error_picture(error, covered)
        strip = [labelled(picture, label) for label, picture in pictures.items()]
        if len(self._rows) < SHEET_ROWS:
            self._rows.append(np.hstack([shrunk(p, SHEET_TILE_WIDTH) for p in pictures.values()]))
            self._labels = [label.split(" ")[0] for label in pictures]
        return write_png(self._folder / f"{name}.png", np.hstack(strip))

    def finish(self) -> Path | None:
        """Write ``sheet.png``; return it, or ``None`` where no view was added."""
        if not self._rows:
            return None
        width = max(row.shape[1] for row in self._rows)
        header = np.hstack(
            [banner(SHEET_TILE_WIDTH, label) for label in self._labels],
        )
        rows = [_padded(row, width) for row in (header, *self._rows)]
        return write_png(self._folder / "sheet.png", np.vstack(rows))


def error_picture(error: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return [H, W, 3] uint8 RGB of an error in [0, 1] in the magma map, dimmed where not covered."""
    levels = np.rint(np.clip(error, 0, 1) * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_MAGMA), cv2.COLOR_BGR2RGB)
    return np.asarray(np.where(covered[..., None], colours, colours // 3), dtype=np.uint8)


def shrunk(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return ``image`` averaged down (or enlarged) to ``width`` pixels."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def labelled(image: NDArray[np.uint8], label: str) -> NDArray[np.uint8]:
    """Put ``label`` above ``image``."""
    return np.vstack([banner(image.shape[1], label), image])


def banner(width: int, label: str) -> NDArray[np.uint8]:
    """Return a dark bar [LABEL_HEIGHT, width, 3] with ``label`` in it (ASCII)."""
    bar = np.full((LABEL_HEIGHT, width, 3), 32, np.uint8)
    cv2.putText(bar, label, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
    return bar


def _padded(row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=32)
