"""What the other machine sends of its map, turn by turn."""

import numpy as np

from reconx_ros.ros.deltas import DeltaMaker, RowMirror
from reconx_ros.ros.half_rows import half_message, half_size
from reconx_ros.ros.latest_map import LatestMap
from reconx_ros.ros.link_replies import MapUpdate
from reconx_ros.ros.rows import CLOUD_TYPE, Rows, gaussian_type

GAUSSIAN = gaussian_type(4)
BYTES = 200_000


def rows_of(kind: np.dtype[np.void], count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    rows = np.zeros(count, kind)
    for name in kind.names or ():
        if rows.dtype[name].kind == "f" and name != "rgb":
            rows[name] = rng.uniform(0.1, 1, count)
    rows["id"] = np.arange(count)
    return rows


class Worker:
    """A worker whose map we make up."""

    def __init__(self) -> None:
        self.makers = DeltaMaker(), DeltaMaker()

    def update(self, points: Rows, gaussians: Rows) -> MapUpdate:
        return MapUpdate(0, self.makers[0].make(points), self.makers[1].make(gaussians), (), 0.1)


def size_of(update: MapUpdate) -> int:
    return sum(len(half_message(d.changed).data) for d in (update.points, update.gaussians))


def test_the_size_of_a_row_is_that_which_travels() -> None:
    for kind in (CLOUD_TYPE, GAUSSIAN):
        assert len(half_message(rows_of(kind, 7, 0)).data) == 7 * half_size(kind)


def test_a_turn_is_bounded_and_what_is_left_goes_when_the_worker_rests() -> None:
    worker, latest = Worker(), LatestMap(BYTES)
    robot = RowMirror(), RowMirror()

    def turn(resting: bool) -> int:
        given = latest.give(resting)
        if given is None:
            return 0
        for mirror, delta in zip(robot, (given.points, given.gaussians), strict=True):
            mirror.apply(delta)
        return size_of(given)

    points = rows_of(CLOUD_TYPE, 2000, 1)
    latest.take(worker.update(points, rows_of(GAUSSIAN, 20_000, 1)))
    assert turn(resting=False) > BYTES  # the first is whole
    assert turn(resting=False) == 0
    new = rows_of(GAUSSIAN, 20_500, 2)  # all have changed, 500 are new
    latest.take(worker.update(points, new))
    assert 0.9 * BYTES < turn(resting=False) <= BYTES
    assert robot[1].rows is not None
    assert len(robot[1].rows) == 20_500
    assert turn(resting=False) == 0  # the rest waits for the next map, or for rest
    turns = [turn(resting=True) for _ in range(20)]
    assert max(turns) <= BYTES
    assert turns[-1] == 0
    for name in ("x", "opacity", "f_rest_3"):
        np.testing.assert_allclose(robot[1].rows[name], new[name], atol=0.0101)


def test_small_changes_wait_until_the_worker_rests() -> None:
    worker, latest = Worker(), LatestMap(BYTES)
    points, gaussians = rows_of(CLOUD_TYPE, 10, 1), rows_of(GAUSSIAN, 100, 1)
    latest.take(worker.update(points, gaussians))
    assert latest.give(resting=False) is not None
    gaussians = gaussians.copy()
    gaussians["x"][:50] += 0.002  # four tolerances
    gaussians["x"][50:60] += 0.01
    latest.take(worker.update(points, gaussians))
    given = latest.give(resting=False)
    assert given is not None
    assert given.gaussians.changed["id"].tolist() == list(range(50, 60))
    given = latest.give(resting=True)
    assert given is not None
    assert given.gaussians.changed["id"].tolist() == list(range(50))
    assert latest.give(resting=True) is None
