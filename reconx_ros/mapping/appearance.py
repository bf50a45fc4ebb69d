"""``appearance.json``: exposures of the keyframes and the background, beside the map."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.errors import MapError
from reconx_ros.splatting.appearance import Appearance, Floats

FIELDS = ("centres", "directions", "gains", "biases")


def write_appearance(file: Path, appearance: Appearance) -> None:
    """Write ``appearance`` as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    values = {name: getattr(appearance, name).tolist() for name in (*FIELDS, "background")}
    file.write_text(json.dumps(values) + "\n")


def read_appearance(folder: Path) -> Appearance:
    """Read the appearance of the map in ``folder``; neutral where there is none (another's map).

    Raises:
        MapError: the file is damaged.
    """
    file = folder / "appearance.json"
    if not file.is_file():
        return Appearance.neutral()
    try:
        values = json.loads(file.read_text())
        centres, directions, gains, biases = (_table(values[name]) for name in FIELDS)
        background = np.array(values["background"], np.float32)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise MapError(f"{file} cannot be read: {type(err).__name__} {err}") from err
    if len({len(centres), len(directions), len(gains), len(biases)}) > 1 or background.shape != (3,):
        raise MapError(f"{file} is damaged: its lists disagree in length")
    return Appearance(centres, directions, gains, biases, background)


def _table(rows: Any) -> Floats:  # noqa: ANN401
    table = np.array(rows, np.float32).reshape(len(rows), 3)
    if not np.isfinite(table).all():
        raise ValueError("values that are not finite")
    return table
