"""The floor plan: occupied where something stands, free where floor was seen, else unknown."""

import numpy as np

from reconx_ros.geometry.protocol import GENERATED, OBSERVED
from reconx_ros.ros.messages import grid_message, header
from reconx_ros.ros.occupancy import FREE, OCCUPIED, UNKNOWN, GridSettings, occupancy_grid
from reconx_ros.ros.rows import CLOUD_TYPE, Rows


def points(*places: tuple[float, float, float]) -> Rows:
    rows = np.zeros(len(places), CLOUD_TYPE)
    rows["x"], rows["y"], rows["z"] = np.array(places).T if places else ([], [], [])
    return rows


def test_cells_follow_what_was_seen() -> None:
    wall = [(1.02, -0.5, z) for z in (0.3, 0.5, 0.9)]
    speck, table, lamp = (0.42, 0.0, 0.5), [(0.0, 0.42, 0.0)], [(0.22, 0.0, 2.4)]
    floor = [(x / 10 + 0.02, 0.0, 0.01) for x in range(11)]
    grid = occupancy_grid(points(*wall, speck, *table, *lamp, *floor), GridSettings(0.1, 0.1, 1.8, 2))

    def cell(x: float, y: float) -> int:
        column, row = np.floor((np.array([x, y]) - grid.origin) / grid.resolution + 1e-9).astype(int)
        return int(grid.cells[row, column])

    assert cell(1.02, -0.5) == OCCUPIED
    assert cell(0.82, 0.0) == FREE
    assert cell(0.22, 0.0) == FREE  # what hangs above nobody runs into
    assert cell(0.42, 0.0) == UNKNOWN  # one point over floor: neither wall nor way
    assert cell(0.52, -0.5) == UNKNOWN  # nobody saw it
    message = grid_message(grid, header("map", 5))
    assert (message.info.width, message.info.height) == grid.cells.shape[::-1]
    assert message.data[int(np.argmax(message.data))] == OCCUPIED
    assert message.info.origin.position.y == np.float64(grid.origin[1])


def test_generated_floor_is_not_free_and_generated_walls_stand() -> None:
    rows = points((0.05, 0.0, 0.0), (0.55, 0.0, 0.0), (1.05, 0.0, 0.5), (1.05, 0.0, 0.9))
    rows["provenance"] = [OBSERVED, GENERATED, GENERATED, GENERATED]
    cells = occupancy_grid(rows, GridSettings(0.1, 0.1, 1.8, 2)).cells[0]
    assert cells[[0, 5, 10]].tolist() == [FREE, UNKNOWN, OCCUPIED]


def test_without_points_one_cell_is_unknown_and_a_vast_one_is_coarser() -> None:
    for nothing in (points(), points((0.0, 0.0, 9.0))):  # all of it overhead
        assert occupancy_grid(nothing, GridSettings()).cells.tolist() == [[UNKNOWN]]
    vast = occupancy_grid(points((0, 0, 0), (5000, 5000, 0)), GridSettings())
    assert vast.resolution > 1
    assert vast.cells.size < 20_000_000
