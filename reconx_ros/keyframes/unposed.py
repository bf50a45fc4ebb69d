"""Which photos become keyframes where none has a pose: all, some spread evenly, or those named."""

from collections.abc import Iterable, Sequence

import numpy as np

from reconx_ros.errors import ConfigError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce


def select_unposed(
    frames: Iterable[Keyframe],
    image_width: int,
    capacity: int,
    views: Sequence[int] | None = None,
    count: int | None = None,
) -> list[Keyframe]:
    """Return frames in their order, reduced to ``image_width``.

    Args:
        frames: posed or not; read once, all held (reduced).
        image_width: pixels.
        capacity: most frames where neither ``views`` nor ``count`` is given, spread evenly.
        views: distinct indices, counted from 0.
        count: frames wanted, spread evenly, ends included.

    Raises:
        ConfigError: an index beyond the end, or more frames wanted than there are.
    """
    held = [reduce(frame, image_width) for frame in frames]
    if views is not None:
        if max(views) >= len(held):
            raise ConfigError(f"view {max(views)} is past the end: there are {len(held)} photos, from 0")
        return [held[index] for index in sorted(views)]
    if count is not None and count > len(held):
        raise ConfigError(f"{count} keyframes asked for, but there are only {len(held)} photos")
    wanted = min(capacity, len(held)) if count is None else count
    rows = np.rint(np.linspace(0, len(held) - 1, wanted)).astype(int)
    return [held[row] for row in rows]
