"""What the compositing kernels compute, and what the processor could."""
# ruff: noqa: ANN001, ANN202  numba infers the types of kernels

import time

import numpy as np
from numba import njit

from reconx_ros.splatting.cpu import splats as s
from reconx_ros.splatting.cpu.alphas import unclipped_alpha
from reconx_ros.splatting.cpu.cells import LANES, ROOM, place, u_and_v
from reconx_ros.splatting.cpu.compilation import INLINED
from reconx_ros.splatting.cpu.memory import item, store
from reconx_ros.splatting.cpu.passes import Pass
from reconx_ros.splatting.cpu.simd import (
    first_bit,
    fma,
    folded,
    select,
    spread,
    spread16,
    total,
    without_first_bit,
)

FLOPS = {"composite": 35, "composite_backward": 62}
"""Floating-point operations an evaluation of a Gaussian at a pixel takes (fused multiply-add: two)."""

CHAINS, ROUNDS = 10, 200_000
HALF = np.float32(0.5)


def _multiply_and_add(spread_to):
    """Return a kernel of independent multiply-adds on vectors that ``spread_to`` makes."""

    @njit(**INLINED)
    def run(rounds, out):
        c = spread_to(HALF)
        a0, a1, a2, a3, a4 = c, c, c, c, c
        a5, a6, a7, a8, a9 = c, c, c, c, c
        for _ in range(rounds):
            a0, a1, a2 = fma(a0, c, c), fma(a1, c, c), fma(a2, c, c)
            a3, a4, a5 = fma(a3, c, c), fma(a4, c, c), fma(a5, c, c)
            a6, a7, a8, a9 = fma(a6, c, c), fma(a7, c, c), fma(a8, c, c), fma(a9, c, c)
        store(out, 0, a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9)

    return run


KERNELS = {8: _multiply_and_add(spread), 16: _multiply_and_add(spread16)}
"""By lanes: sixteen are one register with AVX-512, and too many with AVX2."""


def peak_gflops() -> float:
    """Return the float32 operations a second of one core, measured on independent multiply-adds."""
    out, rates = np.empty(LANES, np.float32), []
    for lanes, kernel in KERNELS.items():
        for _ in range(20):
            start = time.process_time()
            kernel(ROUNDS, out)
            rates.append(2e-9 * CHAINS * lanes * ROUNDS / (time.process_time() - start))
    return max(rates)


@njit(**INLINED)
def _count(records, tile_start, list_gaussian, list_cells, tiles_x):
    cells, useful = 0, 0.0
    scratch = np.zeros(ROOM, np.float32)
    for tile in range(len(tile_start) - 1):
        left, top = tile % tiles_x * s.TILE_WIDTH, tile // tiles_x * s.TILE_HEIGHT
        for n in range(tile_start[tile], tile_start[tile + 1]):
            r, bits = s.SIZE * list_gaussian[n], list_cells[n]
            x, y = item(records, r + s.X) - np.float32(left), item(records, r + s.Y) - np.float32(top)
            u_0, v_0 = place(records, r, x, y, scratch)
            while bits != 0:
                u, v = u_and_v(u_0, v_0, first_bit(bits), scratch)
                bits = without_first_bit(bits)
                alpha = unclipped_alpha(u, v, spread16(item(records, r + s.PEAK)))
                reached = select(alpha > np.float32(0), np.float32(1), np.float32(0))
                cells, useful = cells + 1, useful + total(folded(reached))
    return cells, useful


def evaluations(state: Pass) -> dict[str, float]:
    """Return how often a pass evaluates a Gaussian at a pixel, the useful share, and its list entries."""
    space, (tiles_x, tiles_y) = state.space, state.tiles
    cells, useful = _count(
        space.floats("records", state.count * s.SIZE),
        space.ints("tile_start", tiles_x * tiles_y + 1),
        space.ints("list_gaussian", state.entries),
        space.cells(state.entries),
        tiles_x,
    )
    number = LANES * cells
    share = useful / number if number else 0.0
    return {"entries": state.entries, "evaluations": number, "useful_share": round(share, 3)}
