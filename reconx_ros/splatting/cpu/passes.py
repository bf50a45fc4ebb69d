"""The stages of one forward and one backward pass, as calls of kernels on a workspace."""

import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.splatting.cpu import sort, splats, workspace
from reconx_ros.splatting.cpu.backward import composite_backward
from reconx_ros.splatting.cpu.forward import composite
from reconx_ros.splatting.cpu.project import project
from reconx_ros.splatting.cpu.project_backward import project_backward
from reconx_ros.splatting.cpu.tiles import count_tiles, fill_tiles, place_tiles
from reconx_ros.splatting.cpu.workspace import Workspace

Floats = NDArray[np.float32]
Image = tuple[Floats, Floats, Floats]
"""Colour [H, W, 3], depth [H, W] and alpha [H, W], or their gradients."""


@dataclass(eq=False)
class Pass:
    """One forward pass: its inputs as flat arrays, and where it left what the backward pass needs.

    Attributes:
        inputs: means, log scales, quaternions, opacity logits, harmonics.
        camera: the view.
        background: [3] float32.
        degree: highest degree used.
        compensate: whether opacities make up for the low-pass filter.
        space: the arrays.
        entries: length of all tile lists.
        release: gives the arrays back.
    """

    inputs: list[Floats]
    camera: Camera
    background: Floats
    degree: int
    compensate: bool
    space: Workspace = field(init=False)
    entries: int = 0
    release: "weakref.finalize[..., Pass]" = field(init=False)

    @property
    def count(self) -> int:
        """Return the number of Gaussians, at least 8 (the kernels' width)."""
        return len(self.inputs[3])

    @property
    def tiles(self) -> tuple[int, int]:
        """Return the number of tiles across and down."""
        width, height = self.camera.width, self.camera.height
        return -(-width // splats.TILE_WIDTH), -(-height // splats.TILE_HEIGHT)

    def projection_arguments(self) -> tuple[Any, ...]:
        """Return what the forward and backward projection kernels take first."""
        view = workspace.view_array(self.camera)
        return *self.inputs, self.degree, self.compensate, view, self.space.scratch()


def project_all(state: Pass) -> None:
    """Fill the records, the boxes and the depths."""
    space, count = state.space, state.count
    records, depths = space.floats("records", count * splats.SIZE), space.floats("depths", count)
    boxes = space.ints("columns", count), space.ints("rows", count)
    project(*state.projection_arguments(), records, *boxes, depths, space.ticket())


def sort_by_depth(state: Pass, visible: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the visible Gaussians front to back; write which are."""
    space, count, threads = state.space, state.count, get_num_threads()
    work = [space.ints(name, count) for name in ("order", "keys", "spare_order", "spare_keys")]
    bins = space.ints("bins", threads * sort.BINS).reshape(threads, sort.BINS)
    order: NDArray[np.int32] = sort.depth_order(
        space.floats("depths", count).view(np.int32), work, bins, visible
    )
    return order


def fill_lists(state: Pass, order: NDArray[np.int32]) -> None:
    """Fill the tile lists."""
    space, count, (tiles_x, tiles_y) = state.space, state.count, state.tiles
    chunks, tiles = workspace.CHUNKS_PER_THREAD * get_num_threads(), tiles_x * tiles_y
    per_chunk = space.ints("per_chunk", chunks * (tiles + 1)).reshape(chunks, tiles + 1)
    first_slot, slots = space.ints("first_slot", count), space.ints("slot_count", count)
    boxes = space.ints("columns", count), space.ints("rows", count)
    common = (space.floats("records", count * splats.SIZE), *boxes, order, tiles_x, per_chunk)
    count_tiles(*common, first_slot, slots)
    chunk_start = space.ints("chunk_start", chunks)
    state.entries = place_tiles(per_chunk, space.ints("tile_start", tiles + 1), chunk_start)
    lists = space.ints("list_gaussian", state.entries), space.ints("list_slot", state.entries)
    fill_tiles(*common, chunk_start, first_slot, *lists)


def draw(state: Pass, image: Image) -> None:
    """Composite the tile lists into an image."""
    space, (tiles_x, tiles_y) = state.space, state.tiles
    tiles = tiles_x * tiles_y
    composite(
        space.floats("records", state.count * splats.SIZE),
        space.ints("tile_start", tiles + 1),
        space.ints("list_gaussian", state.entries),
        tiles_x,
        state.background,
        space.planes(),
        space.cells(state.entries),
        state.camera.width,
        state.camera.height,
        *(array.reshape(-1) for array in image),
        space.ticket(),
    )


def draw_backward(state: Pass, image: Image, by_image: Image) -> Floats:
    """Return the gradient slots of the tile lists, given the image and the gradient of it."""
    space, (tiles_x, tiles_y) = state.space, state.tiles
    slots = space.floats("slots", state.entries * splats.SLOT)
    composite_backward(
        space.floats("records", state.count * splats.SIZE),
        space.ints("tile_start", tiles_x * tiles_y + 1),
        space.ints("list_gaussian", state.entries),
        space.ints("list_slot", state.entries),
        space.cells(state.entries),
        tiles_x,
        state.camera.width,
        state.camera.height,
        *(array.reshape(-1) for array in (*image, *by_image)),
        space.work(),
        slots,
        space.ticket(),
    )
    return slots


def project_all_backward(state: Pass, slots: Floats, gradients: list[Floats]) -> None:
    """Write the gradients of the parameters."""
    first, count = state.space.ints("first_slot", state.count), state.space.ints("slot_count", state.count)
    project_backward(*state.projection_arguments(), slots, first, count, *gradients, state.space.ticket())
