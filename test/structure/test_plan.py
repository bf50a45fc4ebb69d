import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.structure.plan import interpolate, plan_trajectory, shared, visible


def camera(centre: tuple[float, float, float], rotation: Rotation, focal: float = 32.0) -> Camera:
    pose = np.eye(4)
    pose[:3, :3] = rotation.as_matrix()
    pose[:3, 3] = centre
    return Camera(np.array([[focal, 0, 31.5], [0, focal, 23.5], [0, 0, 1]]), pose, 64, 48)


def view(x: float, yaw: float = 0, posed: bool = True) -> Keyframe:
    there = camera((x, 0, 0), Rotation.from_euler("y", yaw, degrees=True))
    return Keyframe(f"{x}", 0, np.zeros((48, 64, 3), np.uint8), there, posed=posed)


@pytest.fixture
def wall() -> PointCloud:
    """A wall 2 m ahead, 12 m long, that faces the cameras."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-6, 6, 121), np.linspace(-2, 2, 41)))
    points = np.stack([x, y, np.full_like(x, 2)], axis=1).astype(np.float32)
    n = len(points)
    normals = np.tile(np.array([0, 0, -1], np.float32), (n, 1))
    ones = np.ones(n, np.float32)
    return PointCloud(
        points, np.zeros((n, 3), np.uint8), normals, ones, np.zeros(n, np.uint8), np.ones(n, np.int32)
    )


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


def test_clips_join_at_the_keyframes(wall: PointCloud) -> None:
    views = [view(0), view(0.5, 5), view(1.0, -5)]
    plan = plan_trajectory(views, 5, wall)
    assert len(plan) == 10
    assert plan.anchors == ((0, 1), (1, 2))
    for clip, (first, last) in enumerate(plan.anchors):
        assert plan.cameras[5 * clip] is views[first].camera
        assert plan.cameras[5 * clip + 4] is views[last].camera
    steps = [
        np.linalg.norm(b.centre - a.centre) for a, b in zip(plan.cameras, plan.cameras[1:], strict=False)
    ]
    assert max(steps) < 0.13  # continuous


def test_unposed_views_and_views_that_share_nothing_get_no_clip(wall: PointCloud) -> None:
    views = [view(-4), view(0, posed=False), view(4), view(4.2), view(4.2, yaw=180)]
    assert plan_trajectory(views, 4, wall).anchors == ((2, 3),)


def test_nothing_to_plan(wall: PointCloud) -> None:
    assert len(plan_trajectory([view(0), view(0.1)], 0, wall)) == 0
    assert len(plan_trajectory([view(0)], 8, wall)) == 0
    assert len(plan_trajectory([], 8, wall)) == 0


@pytest.mark.parametrize("count", [1, -3])
def test_a_clip_needs_its_two_ends(wall: PointCloud, count: int) -> None:
    with pytest.raises(SynthesisError, match="0 or at least 2"):
        plan_trajectory([view(0), view(0.1)], count, wall)


def test_visibility_is_geometry(wall: PointCloud) -> None:
    seen = visible(view(0).camera, wall)
    x, y = wall.points[:, 0], wall.points[:, 1]
    # 64 x 48 pixels at f = 32 see 4 m x 3 m of a wall 2 m ahead.
    assert np.array_equal(seen, (np.abs(x) < 2) & (np.abs(y) < 1.5))
    behind = camera((0, 0, 4), Rotation.from_euler("y", 180, degrees=True))
    assert not visible(behind, wall).any()  # the back of the wall
    assert shared(seen, visible(view(1).camera, wall)) == pytest.approx(0.75, abs=0.02)
    assert shared(seen, np.zeros_like(seen)) == 0
