import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from reconx_ros.camera import Camera
from reconx_ros.structure.path import Knot, interpolate, through


def camera(centre: tuple[float, ...], rotation: Rotation, focal: float = 32.0) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = rotation.as_matrix()
    pose[:3, 3] = centre
    return Camera(np.array([[focal, 0, 31.5], [0, focal, 23.5], [0, 0, 1]]), pose, 64, 48)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 20))
def test_interpolation_is_slerp_and_lerp_between_exact_ends(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(2, random_state=seed)
    ends = [camera(tuple(rng.normal(size=3)), r, f) for r, f in zip(rotations, (30, 40), strict=True)]
    cameras = interpolate(ends[0], ends[1], count)
    assert len(cameras) == count
    assert cameras[0] is ends[0]
    assert cameras[-1] is ends[1]
    shares = np.linspace(0, 1, count)
    turned = Slerp([0, 1], rotations)(shares).as_matrix()
    for share, expected, made in zip(shares, turned, cameras, strict=True):
        assert np.allclose(made.world_from_camera[:3, :3], expected, atol=1e-6)
        assert np.allclose(made.centre, (1 - share) * ends[0].centre + share * ends[1].centre)
        assert made.intrinsics[0, 0] == pytest.approx(30 + 10 * share)
        rotation = made.world_from_camera[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(3, 7), st.integers(4, 24))
def test_a_chain_passes_its_knots_and_bounds_the_change_of_velocity(seed: int, knots: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    centres = np.cumsum(rng.normal(size=(knots, 3)) * rng.uniform(0, 2, (knots, 1)), axis=0)
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(size=(knots, 3)) * 0.3, axis=0))
    given_ = [camera(tuple(c), r) for c, r in zip(centres, turns, strict=True)]
    path = through([Knot(n * at, each) for at, each in enumerate(given_)])
    assert len(path) == n * (knots - 1) + 1
    assert all(path[n * at] is each for at, each in enumerate(given_))
    along = np.stack([each.centre for each in path])
    longest = np.linalg.norm(np.diff(centres, axis=0), axis=1).max()
    change = np.linalg.norm(np.diff(along, n=2, axis=0), axis=1)
    assert change.max() <= 15 * longest / n**2 + 1e-9
    # No piece swings out by more than the Hermite basis allows.
    for at in range(knots - 1):
        chord = np.linalg.norm(centres[at + 1] - centres[at])
        piece = along[n * at : n * at + n + 1]
        assert np.linalg.norm(piece - centres[at], axis=1).max() <= 1.5 * chord + 1e-9


def test_rotation_is_smooth_across_a_knot() -> None:
    angles = np.array([0, 0.5, 0.6])
    turns = Rotation.from_rotvec(angles[:, None] * [0, 1, 0])
    path = through([Knot(20 * at, camera((0, 0, 0), turn)) for at, turn in enumerate(turns)])
    rotations = Rotation.from_matrix(np.stack([each.world_from_camera[:3, :3] for each in path]))
    steps = (rotations[:-1].inv() * rotations[1:]).as_rotvec()
    change = np.linalg.norm(np.diff(steps, axis=0), axis=1)
    assert change.max() < 0.15 * np.linalg.norm(steps, axis=1).max()  # slerp by pieces: 0.8


def test_images_of_another_size_keep_the_first_lens() -> None:
    other = Camera(np.diag([100.0, 100.0, 1.0]), np.eye(4), 100, 80)
    made = interpolate(camera((0, 0, 0), Rotation.identity()), other, 3)[1]
    assert (made.width, made.height, made.intrinsics[0, 0]) == (64, 48, 32)
