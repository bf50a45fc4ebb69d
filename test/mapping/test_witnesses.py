"""Which replaced keyframes are still needed to build the map again."""

from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.witnesses import Witnesses

WIDTH, HEIGHT, DISTANCE = 64, 48, 2.0
MATRIX = np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
SEEN = WIDTH * DISTANCE / 50
"""Metres of a wall that a view shows."""


def view(name: str, x: float, depth: float = DISTANCE) -> Keyframe:
    """Return a view of a wall from ``x`` metres along it."""
    pose = np.eye(4)
    pose[0, 3] = x
    image = np.random.default_rng(abs(hash(name)) % 2**32).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    camera = Camera(MATRIX, pose, WIDTH, HEIGHT)
    return Keyframe(name, 0, image, camera, np.full((HEIGHT, WIDTH), depth, np.float32))


def test_what_is_shown_again_is_not_needed_and_the_rest_is() -> None:
    kept = Witnesses()
    again = view("new", 0.0)
    gone = {"same": (view("same", 0.0), 1), "left": (view("left", -0.3 * SEEN), 1)}
    assert kept.replace(gone, [again]) == ["same"]
    assert len(kept) == 1
    half = [view("l", -0.6 * SEEN), again]  # each shows a part of it, both together all
    assert kept.replace({}, half) == ["left"]
    assert len(kept) == 0


def test_of_two_that_alone_show_something_one_stays() -> None:
    kept = Witnesses()
    gone = {name: (view(name, -0.3 * SEEN), 1) for name in ("a", "b")}
    assert kept.replace(gone, [view("new", 0.0)]) == ["a"]
    assert kept.replace({}, [view("newer", 0.1)]) == []


def test_another_surface_is_no_substitute() -> None:
    for depth in (1.0, 4.0, np.nan):  # something stands before it, it was gone, or nothing was measured
        assert Witnesses().replace({"a": (view("a", 0.0), 1)}, [view("new", 0.0, depth)]) == []
    blind = replace(view("a", 0.0), depth=None)  # of colour alone: what the image shows is all there is
    assert Witnesses().replace({"a": (blind, 1)}, [replace(view("new", 0.0), depth=None)]) == ["a"]


def test_witnesses_move_with_their_submap() -> None:
    kept = Witnesses()
    kept.replace({"a": (view("a", 0.0), 1)}, [view("new", 5.0)])
    kept.regroup(1, 2)
    shift = np.eye(4)
    shift[0, 3] = 5.0
    kept.move({1: np.eye(4)})
    assert kept.replace({}, [view("new", 5.0)]) == []
    kept.move({2: shift})
    assert kept.replace({}, [view("new", 5.0)]) == ["a"]


@pytest.mark.parametrize("step", [0.0, 0.02])
def test_daily_rounds_need_no_more_keyframes_and_lose_no_surface(step: float) -> None:
    """Rounds along a wall, each a little beside the last: what is left builds the same cloud."""
    config = load_config("fast", overrides={"mapping": {"rejoin_path": 3.0}})
    mapper, views, needed = IncrementalMapper(config), {}, []
    for index in range(96):
        there = index * 0.4 % 6.4
        x = min(there, 6.4 - there) + step * (index // 16)
        views[f"{index:06d}"] = view(f"{index:06d}", x)
        mapper.add(views[f"{index:06d}"])
        for name in mapper.released:
            del views[name]
        mapper.released.clear()
        needed.append(len(views))
    assert needed[-1] <= needed[31] + 6 * (step > 0)
    again = IncrementalMapper(config)
    for keyframe in views.values():
        again.add(keyframe)
    was, now = mapper.snapshot(), again.snapshot()
    assert was is not None
    assert now is not None
    voxels = [
        {tuple(cell) for cell in np.floor(one.cloud.points / 0.1).astype(int)[:, :2]} for one in (was, now)
    ]
    assert len(voxels[0] - voxels[1]) <= 0.02 * len(voxels[0])
