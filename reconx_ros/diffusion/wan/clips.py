"""What the model takes: windows of 4k + 1 frames, sides that are multiples of 16."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from reconx_ros.camera import Camera
from reconx_ros.diffusion.wan.config import TIME_STRIDE

MULTIPLE = 16
"""Pixels: 8 of the VAE times a patch of 2."""


@dataclass(frozen=True)
class Window:
    """Frames ``start`` to ``stop`` of a clip, of which the first ``shared`` were filmed before.

    ``padding`` frames, the last one held, make them 4k + 1; they are dropped again.
    """

    start: int
    stop: int
    shared: int = 0
    padding: int = 0


def windows(frames: int, length: int, overlap: int) -> list[Window]:
    """Cover a clip with windows of at most ``length`` frames, neighbours sharing at least ``overlap``.

    Only a clip shorter than a window is padded: the last window of a longer one begins earlier.

    Args:
        frames: of the clip, at least 1.
        length: 4k + 1.
        overlap: at least 1, below ``length``.
    """
    if frames <= length:
        return [Window(0, frames, padding=_whole(frames) - frames)]
    found = [Window(0, length)]
    while found[-1].stop < frames:
        begin = found[-1].stop - overlap
        stop = min(begin + length, frames)
        start = stop - _whole(stop - begin)
        found.append(Window(start, stop, shared=found[-1].stop - start))
    return found


def padded(cameras: Sequence[Camera], window: Window) -> list[Camera]:
    """Return the cameras of a window, the last one held for its padding."""
    chosen = list(cameras[window.start : window.stop])
    return chosen + chosen[-1:] * window.padding


def film_size(camera: Camera, pixels: int) -> tuple[int, int]:
    """Return width and height of about ``pixels``, multiples of 16, in the camera's aspect.

    ``camera.resized(width, height)`` is exact: what rounding does to the aspect goes into the intrinsics.
    """
    scale = sqrt(pixels / (camera.width * camera.height))
    width, height = (
        MULTIPLE * max(1, round(side * scale / MULTIPLE)) for side in (camera.width, camera.height)
    )
    return width, height


def _whole(frames: int) -> int:
    """Return the least 4k + 1 that is at least ``frames``."""
    return -(-(frames - 1) // TIME_STRIDE) * TIME_STRIDE + 1
