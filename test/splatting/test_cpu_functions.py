"""Vector functions against numpy in float64, and sorting and tiles against the obvious way."""

import math
import platform
import re
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from reconx_ros.splatting import reference
from reconx_ros.splatting.cpu import cells, forward, functions, memory, sh, simd, sort, tiles
from reconx_ros.splatting.cpu import splats as s

Floats = NDArray[np.float32]


def run(function: object, numbers: Floats) -> Floats:
    """Apply a vector function to an array whose length is a multiple of eight."""

    @njit
    def loop(numbers, out):  # noqa: ANN001, ANN202
        for i in range(0, len(numbers), 8):
            memory.store(out, i, function(memory.load(numbers, i)))

    out = np.empty_like(numbers)
    loop(numbers, out)
    return out


@pytest.mark.parametrize(
    ("function", "exact", "low", "high", "tolerance"),
    [
        (functions.exp2, np.exp2, -126, 126, 2e-7),
        (functions.exp, np.exp, -10, 10, 1e-6),  # x log2 e is rounded: 10 * 1.44 * 6e-8
        (functions.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -15, 30, 2e-6),
    ],
)
def test_functions_are_exact_to_rounding(function, exact, low, high, tolerance) -> None:  # noqa: ANN001
    numbers = np.linspace(low, high, 80_000, dtype=np.float32)
    expected = exact(numbers.astype(np.float64))
    assert np.abs(run(function, numbers) / expected - 1).max() < tolerance


def test_log2_is_exact_to_rounding() -> None:
    numbers = np.exp2(np.linspace(-100, 20, 80_000)).astype(np.float32)
    expected = np.log2(numbers.astype(np.float64))
    assert (np.abs(run(functions.log2, numbers) - expected) <= 2e-7 * np.maximum(np.abs(expected), 1)).all()


def assembly(loop: object) -> list[str]:
    numbers = np.zeros(160, np.float32)
    loop(numbers, numbers.copy())
    (text,) = loop.inspect_asm().values()
    return [line.strip() for line in text.splitlines()]


@njit(error_model="numpy")
def _inner_loop(numbers, out):  # noqa: ANN001, ANN202
    for i in range(0, len(numbers), 16):
        x = memory.load16(numbers, i)
        forward._blend(out, 0, forward.unclipped_alpha(x, x, x), x, x, x, x)


@njit(error_model="numpy")
def _activations(numbers, out):  # noqa: ANN001, ANN202
    for i in range(0, len(numbers), 8):
        x = memory.load(numbers, i)
        memory.store(out, i, functions.sigmoid(x) + functions.exp(x) + functions.log2(x))


@njit(error_model="numpy")
def _scalar(numbers, out):  # noqa: ANN001, ANN202
    for i in range(len(numbers)):
        out[i] = math.exp(numbers[i])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the assembly of x86")
def test_the_machine_code_of_inner_loops_is_vectors_all_through() -> None:
    call = re.compile(r"\$\w*(exp|log|pow)")  # its address is loaded, and what is there called
    alone = re.compile(r"v(add|sub|mul|div|min|max|sqrt|fn?m(add|sub)\d+)ss\b")
    assert any(call.search(line) for line in assembly(_scalar))  # so it would be found
    for loop in (_inner_loop, _activations):
        lines = assembly(loop)
        assert not [line for line in lines if call.search(line) or alone.match(line)]
        assert sum(bool(re.match(r"vfn?m(add|sub)\d+ps\b", line)) for line in lines) >= 5


@njit
def _reductions(numbers, out):  # noqa: ANN001, ANN202
    v = memory.load(numbers, 0)
    a, b, c, d = v, v * np.float32(2), v * np.float32(3), v * np.float32(4)
    e, f, g, h = v * np.float32(5), v * np.float32(6), v * np.float32(7), v * np.float32(8)
    memory.store(out, 0, simd.totals(a, b, c, d, e, f, g, h))
    out[8] = simd.total(v)
    memory.scatter(out, 9, 2, memory.gather(numbers, 0, 1))


def test_sums_and_strided_access() -> None:
    numbers, out = np.arange(8, dtype=np.float32), np.zeros(32, np.float32)
    _reductions(numbers, out)
    np.testing.assert_array_equal(out[:9], [28 * k for k in range(1, 9)] + [28])
    np.testing.assert_array_equal(out[9:25:2], numbers)
    assert (out[10:24:2] == 0).all()


@njit
def _harmonics(directions, degree, basis, slopes):  # noqa: ANN001, ANN202
    x, y, z = (memory.load(directions, 0), memory.load(directions, 8), memory.load(directions, 16))
    sh.write_basis(basis, degree, x, y, z)
    sh.write_slopes(slopes, degree, x, y, z)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_and_their_slopes_are_the_reference(degree: int) -> None:
    rows = (degree + 1) ** 2
    directions = np.random.default_rng(0).normal(size=(3, 8))
    directions = (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)
    basis, slopes = np.zeros(16 * 8, np.float32), np.zeros(3 * 16 * 8, np.float32)
    _harmonics(directions.reshape(-1), degree, basis, slopes)
    exact = torch.tensor(directions.T, dtype=torch.float64, requires_grad=True)
    values = reference.sh_basis(exact, degree)
    np.testing.assert_allclose(basis.reshape(16, 8)[:rows].T, values.detach(), atol=1e-6)
    normal = exact.detach()
    for k in range(rows):
        expected = torch.zeros_like(exact)
        if values[:, k].requires_grad:
            expected = torch.autograd.grad(values[:, k].sum(), exact, retain_graph=True)[0]
        actual = torch.tensor(slopes.reshape(3, 16, 8)[:, k].T.copy()).double()
        # Only the part along the sphere has a meaning: the polynomials may differ off it.
        along = [v - normal * (normal * v).sum(1, keepdim=True) for v in (expected, actual)]
        torch.testing.assert_close(along[1], along[0], rtol=0, atol=3e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e30]), st.booleans())
def test_depths_are_sorted_stably(count: int, seed: int, largest: float, alone: bool) -> None:
    rng = np.random.default_rng(seed)
    depths = (rng.random(count) * largest).astype(np.float32)
    depths[rng.random(count) < 0.2] = -1
    depths[rng.random(count) < 0.2] = largest / 2
    work = [np.zeros(count, np.int32) for _ in range(4)]
    visible, bins = np.zeros(count, np.bool_), np.zeros((3, sort.BINS), np.int32)
    with mock.patch.object(sort, "ALONE", sort.ALONE if alone else -1):
        order = sort.depth_order(depths.view(np.int32), work, bins, visible)
    np.testing.assert_array_equal(visible, depths >= 0)
    rows = np.flatnonzero(depths >= 0)
    np.testing.assert_array_equal(order, rows[np.argsort(depths[rows], kind="stable")])


def ellipses(rng: np.random.Generator, count: int, width: int, height: int) -> tuple[Floats, Floats]:
    """Records of random ellipses (centre, shape and bounds only) and their covariances."""
    axes = np.exp(rng.uniform(-1, 4, (count, 2)))
    angles = rng.uniform(0, np.pi, count)
    turn = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(
        2, 0, 1
    )
    covariances = turn @ (axes[..., None] ** 2 * turn.transpose(0, 2, 1)) + 0.3 * np.eye(2)
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    records = np.zeros((count, s.SIZE), np.float32)
    reach = np.full(count, 6.0)
    records[:, s.X], records[:, s.Y] = rng.uniform(0, width, count), rng.uniform(0, height, count)
    records[:, s.SLOPE], records[:, s.REACH] = xy / yy, reach
    records[:, s.SHARP_Y] = s.SHARPNESS / np.sqrt(yy)
    records[:, s.SPREAD_X] = np.sqrt(xx - xy**2 / yy) / s.SHARPNESS
    records[:, s.HALF_X] = np.sqrt(reach * xx) / s.SHARPNESS
    records[:, s.HALF_Y] = np.sqrt(reach * yy) / s.SHARPNESS
    records[:, s.TILT] = records[:, s.HALF_X] * xy / xx
    return records, covariances


def boxes(centre: Floats, half: Floats, tiles_along: int, size: int) -> NDArray[np.int32]:
    """First and last tile, packed as ``project`` does."""
    first = np.maximum(np.ceil(centre - half), 0) // size
    last = np.minimum(np.floor(centre + half), tiles_along * size - 1) // size
    return (first.astype(np.int32) | last.astype(np.int32) << 16).astype(np.int32)


def test_tile_lists_hold_every_pixel_reached_and_little_else() -> None:
    rng, count, width, height = np.random.default_rng(0), 200, 150, 70
    records, covariances = ellipses(rng, count, width, height)
    tiles_x, tiles_y = math.ceil(width / s.TILE_WIDTH), math.ceil(height / s.TILE_HEIGHT)
    number = tiles_x * tiles_y
    order = rng.permutation(count).astype(np.int32)
    per_chunk = np.zeros((3, number + 1), np.int32)
    first_slot, slots = np.zeros(count, np.int32), np.zeros(count, np.int32)
    columns = boxes(records[:, s.X], records[:, s.HALF_X], tiles_x, s.TILE_WIDTH)
    rows = boxes(records[:, s.Y], records[:, s.HALF_Y], tiles_y, s.TILE_HEIGHT)
    common = (records.reshape(-1), columns, rows, order, tiles_x, per_chunk)
    tiles.count_tiles(*common, first_slot, slots)
    start, chunk_start = np.zeros(number + 1, np.int32), np.zeros(3, np.int32)
    entries = tiles.place_tiles(per_chunk, start, chunk_start)
    gaussian, slot = np.zeros(entries, np.int32), np.zeros(entries, np.int32)
    tiles.fill_tiles(*common, chunk_start, first_slot, gaussian, slot)

    assert sorted(slot) == list(range(entries))
    for entry in range(entries):
        assert 0 <= slot[entry] - first_slot[gaussian[entry]] < slots[gaussian[entry]]
    y, x = np.mgrid[: tiles_y * s.TILE_HEIGHT, : tiles_x * s.TILE_WIDTH]
    rank = np.argsort(order)
    is_large = np.maximum(columns // 65536 - columns % 65536, rows // 65536 - rows % 65536) >= tiles.SMALL
    assert is_large.any() and not is_large.all()
    for tile in range(number):
        listed = gaussian[start[tile] : start[tile + 1]]
        assert (np.diff(rank[listed]) > 0).all()  # front to back
        inside = (y // s.TILE_HEIGHT * tiles_x + x // s.TILE_WIDTH) == tile
        for i in range(count):
            offset = np.stack([x[inside] - records[i, s.X], y[inside] - records[i, s.Y]], -1)
            power = np.einsum("pi,ij,pj->p", offset, np.linalg.inv(covariances[i]), offset)
            nearest = (power * s.SHARPNESS**2).min()
            if nearest < 5.999:
                assert i in listed
            elif (
                nearest > 14 and is_large[i]
            ):  # an ellipse can pass between two pixels of a tile it touches
                assert i not in listed


@njit
def _reached(records, bits):  # noqa: ANN001, ANN202
    for i in range(len(bits)):
        r = s.SIZE * i
        bits[i] = cells.reached_cells(records, r, records[r + s.X], records[r + s.Y])


def test_cells_hold_every_pixel_reached_and_little_else() -> None:
    rng, count = np.random.default_rng(1), 300
    records, covariances = ellipses(rng, count, 48, 48)
    records[:, [s.X, s.Y]] -= 8
    bits = np.zeros(count, np.int64)
    _reached(records.reshape(-1), bits)
    y, x = np.mgrid[:32, :32]
    held = spurious = 0
    for i in range(count):
        offset = np.stack([x - records[i, s.X], y - records[i, s.Y]], -1)
        power = np.einsum("yxi,ij,yxj->yx", offset, np.linalg.inv(covariances[i]), offset)
        nearest = (power * s.SHARPNESS**2).reshape(8, 4, 8, 4).min(axis=(1, 3))
        got = np.array([[bits[i] >> (8 * column + row) & 1 for column in range(8)] for row in range(8)])
        assert got[nearest < 5.999].all()
        held, spurious = held + got.sum(), spurious + (got.astype(bool) & (nearest > 6.001)).sum()
    assert spurious < 0.1 * held
