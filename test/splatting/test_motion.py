"""Rigid motion of Gaussians: a moved camera sees what the camera saw."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reconx_ros.camera import Camera
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.motion import moved, sh_rotation
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.reference import sh_basis


def rotation_of(seed: int) -> np.ndarray:
    raw = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return raw * np.sign(np.linalg.det(raw))


@given(st.integers(0, 2**31), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_turned_harmonics_show_along_d_what_they_showed_along_the_turned_back_d(
    seed: int, degree: int
) -> None:
    rng = np.random.default_rng(seed + 1)
    rotation, coefficients = rotation_of(seed), rng.normal(size=(degree + 1) ** 2)
    directions = rng.normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turned = sh_basis(torch.from_numpy(directions), degree).numpy() @ sh_rotation(rotation, degree)
    before = sh_basis(torch.from_numpy(directions @ rotation), degree).numpy()
    np.testing.assert_allclose(turned @ coefficients, before @ coefficients, atol=1e-9)


def test_a_moved_scene_looks_the_same_to_a_moved_camera() -> None:
    rng = np.random.default_rng(3)
    count = 60
    gaussians = GaussianMap(
        means=rng.normal([0, 0, 3], 0.5, (count, 3)).astype(np.float32),
        log_scales=rng.uniform(-4, -1.5, (count, 3)).astype(np.float32),
        quaternions_wxyz=rng.normal(size=(count, 4)).astype(np.float32),
        opacity_logits=rng.uniform(-1, 3, count).astype(np.float32),
        sh=rng.normal(0, 0.3, (count, 16, 3)).astype(np.float32),
        confidence=np.ones(count, np.float32),
        provenance=np.zeros(count, np.uint8),
    )
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation_of(5), (1, -2, 0.5)
    camera = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), np.eye(4), 64, 48)
    before, _, alpha = render_view(gaussians, camera)
    after, _, alpha2 = render_view(moved(gaussians, motion), camera.moved(motion))
    assert alpha.mean() > 0.1
    np.testing.assert_allclose(after, before, atol=2e-3)
    np.testing.assert_allclose(alpha2, alpha, atol=2e-3)
