"""Arrays of one forward and backward pass, kept from step to step and grown by half when too small."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.splatting import model
from reconx_ros.splatting.cpu import backward, forward
from reconx_ros.splatting.cpu.footprint import VIEW_SIZE
from reconx_ros.splatting.cpu.project_backward import SCRATCH

Array = NDArray[Any]
CHUNKS_PER_THREAD = 4
LINE = 64
"""Bytes of a cache line."""

_FREE: "list[Workspace]" = []


def aligned(size: int, dtype: type) -> Array:
    """Return an array that starts at a cache line: vectors of a whole line then never straddle two."""
    bytes_ = np.empty(size * np.dtype(dtype).itemsize + LINE, np.uint8)
    start = -bytes_.ctypes.data % LINE
    return bytes_[start : len(bytes_) - LINE + start].view(dtype)


@dataclass(eq=False)
class Workspace:
    """Named flat arrays. One belongs to one forward pass until its backward pass is over."""

    arrays: dict[str, Array] = field(default_factory=dict)

    def array(self, name: str, size: int, dtype: type) -> Array:
        """Return ``size`` items of the array ``name``; what they held is lost when it grows."""
        held = self.arrays.get(name)
        if held is None or len(held) < size:
            held = self.arrays[name] = aligned(size + size // 2, dtype)
        return held[:size]

    def floats(self, name: str, size: int) -> NDArray[np.float32]:
        """Return ``size`` float32 of the array ``name``."""
        return self.array(name, size, np.float32)

    def ints(self, name: str, size: int) -> NDArray[np.int32]:
        """Return ``size`` int32 of the array ``name``."""
        return self.array(name, size, np.int32)

    def scratch(self) -> NDArray[np.float32]:
        """Return the scratch of the projection kernels, a row a thread."""
        threads = get_num_threads()
        return self.floats("scratch", threads * SCRATCH).reshape(threads, SCRATCH)

    def work(self) -> NDArray[np.float32]:
        """Return the scratch of the backward pass of compositing, a row a thread."""
        threads = get_num_threads()
        return self.floats("work", threads * backward.TILE).reshape(threads, backward.TILE)

    def cells(self, entries: int) -> NDArray[np.int64]:
        """Return the cells that each entry of the tile lists is drawn in."""
        return self.array("cells", entries, np.int64)

    def planes(self) -> NDArray[np.float32]:
        """Return the scratch of compositing, a row a thread."""
        threads = get_num_threads()
        return self.floats("planes", threads * forward.TILE).reshape(threads, forward.TILE)

    def ticket(self) -> NDArray[np.int64]:
        """Return the counter from which threads draw work."""
        return self.array("ticket", 1, np.int64)


def borrow() -> Workspace:
    """Return a workspace that nobody uses."""
    return _FREE.pop() if _FREE else Workspace()


def give_back(workspace: Workspace) -> None:
    """Let others use a workspace."""
    _FREE.append(workspace)


def view_array(camera: Camera) -> NDArray[np.float32]:
    """Return a camera as the kernels read it (see ``footprint``)."""
    k = camera.intrinsics
    numbers = [
        *camera.camera_from_world[:3].ravel(),
        *(k[0, 0], k[1, 1], k[0, 2], k[1, 2]),
        *model.tangent_limits(camera),
        *camera.centre,
        *(camera.width, camera.height),
    ]
    assert len(numbers) == VIEW_SIZE
    return np.array(numbers, np.float32)
