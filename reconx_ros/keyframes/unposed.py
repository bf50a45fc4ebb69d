"""Which images become keyframes where none has a pose: all, some spread evenly, or those named."""

from collections.abc import Iterable, Sequence

from reconx_ros.errors import ConfigError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.keyframes.select import Thinned

SPARE = 4
"""Times as many images as are wanted are held of a long recording, at most."""


def select_unposed(
    frames: Iterable[Keyframe],
    image_width: int,
    capacity: int,
    views: Sequence[int] | None = None,
    count: int | None = None,
) -> list[Keyframe]:
    """Return frames in their order, reduced to ``image_width``.

    Args:
        frames: posed or not; read once, ``SPARE`` times as many as wanted held (reduced) at most.
        image_width: pixels.
        capacity: most frames where neither ``views`` nor ``count`` is given, spread evenly.
        views: distinct indices, counted from 0.
        count: frames wanted, spread evenly, ends included.

    Raises:
        ConfigError: an index beyond the end, or more frames wanted than there are.
    """
    if views is not None:
        return _named(frames, image_width, set(views))
    thinned = Thinned(SPARE * (count or capacity), image_width)
    for frame in frames:
        thinned.add(frame)
    if count is not None and count > thinned.total:
        raise ConfigError(f"{count} keyframes asked for, but there are only {thinned.total} photos")
    return thinned.spread(min(count or capacity, thinned.total))


def _named(frames: Iterable[Keyframe], image_width: int, views: set[int]) -> list[Keyframe]:
    chosen, total = list[Keyframe](), 0
    for index, frame in enumerate(frames):
        total = index + 1
        if index in views:
            chosen.append(reduce(frame, image_width))
        if len(chosen) == len(views):
            return chosen
    raise ConfigError(f"view {max(views)} is past the end: there are {total} photos, from 0")
