"""Fields of a JSON file, checked one by one; each error names the field and the place."""

import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from reconx_ros.errors import SourceError

MAX_SIDE = 1 << 16
"""Pixels; no image is longer."""


class Fields:
    """Typed access to the fields of a frame, over those of the file.

    Attributes:
        values: as parsed.
        where: file and frame, for messages.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def number(self, key: str, default: float) -> float:
        """Return a finite number below a million in size."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
            raise SourceError(f"{self.where}: {key} must be a number, not {shown(value)}")
        return float(value)

    def side(self, key: str) -> int:
        """Return a number of pixels, 0 where it is missing."""
        value = self.number(key, 0.0)
        if value != int(value) or not 0 <= value <= MAX_SIDE or (key in self.values and value == 0):
            raise SourceError(f"{self.where}: {key} must be a whole number of pixels, not {shown(value)}")
        return int(value)

    def focal(self, key: str, angle_key: str, side: int) -> float | None:
        """Return a focal length in pixels, from an angle of view (radians) where need be."""
        if key in self.values:
            value = self.number(key, 0.0)
            if not value > 0:
                raise SourceError(f"{self.where}: {key} = {value:g} must be > 0")
            return value
        if angle_key not in self.values:
            return None
        angle = self.number(angle_key, 0.0)
        if not 1e-3 < angle < math.pi:
            raise SourceError(f"{self.where}: {angle_key} = {angle:g} must be in (0, pi)")
        return side / 2 / math.tan(angle / 2)

    def path(self, key: str, folder: Path) -> Path | None:
        """Return a path relative to the file's folder."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not is_path(value):
            raise SourceError(f"{self.where}: {key} must be a path, not {shown(value)}")
        return folder / value.replace("\\", "/")


def is_path(text: str) -> bool:
    """Return whether ``text`` can be a path: not empty, no NUL, no half of a surrogate pair."""
    return bool(PurePosixPath(text).name) and "\0" not in text and text.isprintable()


def shown(value: Any) -> str:  # noqa: ANN401
    """Return a value in at most 60 characters on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
