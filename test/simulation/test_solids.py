"""Ray casting against intersections worked out by hand, and against a marching reference."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.scene import Scene
from reconx_ros.simulation.solids import cast, surface_distance


def scene_of(add: str, **arguments: object) -> Scene:
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    builder.lamp((0, 0, 9), (1, 0, 0), (0, 1, 0), (1, 1, 1))
    getattr(builder, add)(**arguments, **{"material" if add == "ball" else "faces": look})
    return builder.build()


def shoot(scene: Scene, origin: tuple[float, ...], direction: tuple[float, ...]) -> float:
    distance, _ = cast(scene.solids, torch.tensor([[origin]]).float(), torch.tensor([[direction]]).float())
    return float(distance[0, 0])


def test_a_ball_is_met_where_the_quadratic_says() -> None:
    scene = scene_of("ball", centre=(3, 0, 0), size=(2, 2, 2))
    assert shoot(scene, (0, 0, 0), (1, 0, 0)) == pytest.approx(2.0, abs=1e-5)
    # |o + t d - c| = 1 with d = (2, 0.5, 0): 4.25 t^2 - 12 t + 8 = 0.
    expected = (12 - math.sqrt(144 - 4 * 4.25 * 8)) / (2 * 4.25)
    assert shoot(scene, (0, 0, 0), (2, 0.5, 0)) == pytest.approx(expected, abs=1e-5)
    assert shoot(scene, (0, 0, 0), (0, 1, 0)) == math.inf
    assert shoot(scene, (0, 0, 0), (-1, 0, 0)) == math.inf


def test_a_room_is_seen_from_inside() -> None:
    scene = scene_of("box", centre=(0, 0, 1.5), size=(4, 5, 3), hollow=True)
    assert shoot(scene, (0.5, 1, 1), (1, 0, 0)) == pytest.approx(1.5, abs=1e-6)
    assert shoot(scene, (0.5, 1, 1), (0, -1, 0)) == pytest.approx(3.5, abs=1e-6)
    assert shoot(scene, (0.5, 1, 1), (0, 0, 2)) == pytest.approx(1.0, abs=1e-6)


def test_a_turned_box_shows_its_corner_first() -> None:
    scene = scene_of("box", centre=(3, 0, 0), size=(2, 2, 2), yaw=math.pi / 4)
    assert shoot(scene, (0, 0, 0), (1, 0, 0)) == pytest.approx(3 - math.sqrt(2), abs=1e-5)


def test_a_cylinder_has_a_side_and_ends() -> None:
    scene = scene_of("cylinder", centre=(2, 0, 0), diameter=1.0, height=2.0)
    assert shoot(scene, (0, 0, 0.9), (1, 0, 0)) == pytest.approx(1.5, abs=1e-5)
    assert shoot(scene, (0, 0, 1.1), (1, 0, 0)) == math.inf
    assert shoot(scene, (2.3, 0.1, 5), (0, 0, -1)) == pytest.approx(4.0, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["box", "ball", "cylinder"]),
    st.tuples(*[st.floats(-1, 1) for _ in range(3)]),
    st.floats(0.2, 3.0),
    st.floats(0.3, 2.0),
)
def test_casting_agrees_with_sphere_tracing(
    kind: str, aim: tuple[float, float, float], distance: float, size: float
) -> None:
    centre = (distance + 2.0, 0.3, -0.2)
    shapes = {
        "box": {"size": (size, 0.7, 1.1), "yaw": 0.5},
        "ball": {"size": (size, size, size)},
        "cylinder": {"diameter": size, "height": 1.3},
    }
    scene = scene_of(kind, centre=centre, **shapes[kind])
    direction = torch.tensor([centre]) + 0.7 * torch.tensor([aim])
    direction = direction / direction.norm()
    found = shoot(scene, (0, 0, 0), tuple(direction[0].tolist()))
    along, smallest = 0.0, math.inf
    for _ in range(400):
        gap = float(surface_distance(scene.solids, along * direction[None])[0, 0, 0])
        smallest = min(smallest, gap)
        along += max(gap, 1e-5)
        if gap < 1e-5 or along > 20:
            break
    if 1e-5 <= smallest < 2e-3:
        return  # a graze: marching cannot tell
    if smallest < 1e-5:
        assert found == pytest.approx(along, abs=2e-3)
    else:
        assert found == math.inf
