"""Camera paths keep to free space."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.errors import SourceError
from reconx_ros.simulation import rooms
from reconx_ros.simulation.builder import SceneBuilder
from reconx_ros.simulation.paths import clearance, look_at, orbit_path
from reconx_ros.simulation.scene import Scene


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 90))
def test_an_orbit_keeps_its_distance_from_everything(seed: int, frames: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # No path looks at the light.
        patch.setattr(rooms, "bake", lambda scene, *_: scene)
        scene = rooms.room(seed)
    path = orbit_path(scene, frames, seed)
    assert path.shape == (frames, 4, 4)
    assert clearance(scene, path[:, :3, 3]).min() >= 0.25
    rotation = path[:, :3, :3]
    assert np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() < 1e-12
    assert np.linalg.det(rotation).min() > 0.999


def test_an_orbit_is_smooth(furnished: Scene) -> None:
    path = orbit_path(furnished, 60, 0)
    steps = np.linalg.norm(np.diff(path[:, :3, 3], axis=0), axis=1)
    turns = path[:-1, :3, :3].transpose(0, 2, 1) @ path[1:, :3, :3]
    angles = np.degrees(np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert steps.min() > 0.02 and steps.max() < 0.4
    assert angles.max() < 20


def test_clearance_is_the_distance_to_the_nearest_surface(plain_scene: Scene) -> None:
    points = np.array([[-1.0, 0.0, 1.5], [0.8, 0.2, 2.0], [0.8, 0.2, 1.0], [5.0, 0.0, 1.0]])
    assert clearance(plain_scene, points) == pytest.approx([1.0, 0.4, -0.6, -3.0], abs=1e-5)


def test_a_crowded_room_has_no_path() -> None:
    builder = SceneBuilder(0)
    look = builder.material("paint", ("808080",))
    builder.box((0, 0, 1.5), (4, 4, 3), look, hollow=True)
    builder.box((0, 0, 1.5), (3.8, 3.8, 2.9), look)
    builder.lamp((0, 0, 2.9), (1, 0, 0), (0, -1, 0), (1, 1, 1))
    with pytest.raises(SourceError, match="no orbit"):
        orbit_path(builder.build(), 10)


def test_a_camera_looks_along_its_z_axis_with_y_down() -> None:
    pose = look_at(np.array([[1.0, 2.0, 1.0]]), np.array([[1.0, 5.0, 1.0]]))[0]
    assert pose[:3, :3] == pytest.approx(np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).astype(float))
