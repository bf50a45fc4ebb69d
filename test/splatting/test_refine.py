"""Gradients by the camera against the reference in float64, and cameras found again."""

import numpy as np
import pytest
import torch
from scenes import Recipe, decided, parameters, scene
from test_optimise import CONFIG, wall
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting.camera_gradient import camera_gradient
from reconx_ros.splatting.config import RefinementConfig
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import render_view
from reconx_ros.splatting.reference import corrected, rasterize_reference
from reconx_ros.splatting.refine import CameraRefinement, refined
from reconx_ros.splatting.view import TrainingView


def weights(view: Camera, mask: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    size = (view.height, view.width)
    return [
        torch.randn(*size, *tail, generator=generator).double() * mask.view(*size, *(1 for _ in tail))
        for tail in ((3,), (), ())
    ]


@pytest.mark.parametrize("degree", [0, 2])
@pytest.mark.parametrize("seed", [1, 5, 8])
def test_gradient_is_that_of_the_reference(seed: int, degree: int) -> None:
    arrays, view = scene(Recipe(seed, 50, degree, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0))
    exact, fast = parameters(arrays, torch.float64, grad=False), parameters(arrays, torch.float32)
    by = weights(view, decided(exact, view)[0])
    correction = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    true = rasterize_reference(exact, view, torch.zeros(3).double(), degree, False, correction)
    sum((image * w).sum() for image, w in zip(true[:3], by, strict=True)).backward()
    frame = Frame(fast, view)
    frame.color.grad, frame.depth.grad, frame.alpha.grad = (w.float() for w in by)
    actual = camera_gradient(frame, fast, view, degree).double()
    torch.testing.assert_close(actual, correction.grad, rtol=2e-3, atol=2e-3 * correction.grad.abs().max())


def test_the_reference_and_the_moved_camera_agree() -> None:
    _, view = scene(Recipe(1, 40, 2, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))
    numbers = torch.tensor([0.02, -0.01, 0.03, 0.01, 0.02, -0.02, 0.01, -0.02], dtype=torch.float64)
    moved = refined(view, numbers)
    pose, intrinsics = corrected(view, numbers)
    turn = moved.camera_from_world
    np.testing.assert_allclose(turn[:3, :3], pose[:3, :3], atol=1e-9)
    np.testing.assert_allclose(turn[:3, 3], pose[:3, 3], atol=1e-3)  # of second order in the twist
    np.testing.assert_allclose(moved.intrinsics[:2], intrinsics, atol=1e-9)


def test_prior_brings_a_camera_back() -> None:
    refinement = CameraRefinement(RefinementConfig(poses=True), 1.0)
    away = refinement.step(0, torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]), 1.0)
    for _ in range(60):
        away = away + refinement.step(0, torch.zeros(8), 1.0)
    assert abs(float(away[0])) < 2e-4 and float(away[6:].abs().sum()) == 0
    stays = refinement.step(0, torch.full((8,), torch.nan), 1.0)
    assert not stays.any()


def test_a_disturbed_camera_is_found_again() -> None:
    truth = wall(60)
    intrinsics = np.array([[40.0, 0, 19.5], [0, 40.0, 14.5], [0, 0, 1]])
    views, errors = [], []
    for x in (-0.4, 0.0, 0.4):
        pose = np.eye(4)
        pose[0, 3] = x
        true = Camera(intrinsics, pose, 40, 30)
        image, depth, _ = render_view(truth, true)
        wrong = refined(true, torch.tensor([0.02 * (x == 0), 0, 0, 0, 0.01 * (x == 0), 0, 0, 0]).double())
        views.append(
            TrainingView(wrong, image.clip(0, 1), np.full(depth.shape, 5, np.float32), depth, OBSERVED)
        )
        errors.append(true)
    off = []
    for poses in (False, True):
        config = CONFIG.model_copy(
            update={
                "steps": 150, "dropout": 0.0, "exposure": False,
                "refine": RefinementConfig(poses=poses, translation_sigma=0.02),
            }
        )  # fmt: skip
        optimiser = GaussianOptimiser(truth, config, "cpu")
        optimiser.add_views(views)
        optimiser.run()
        optimised = optimiser._views.cameras[1].world_from_camera
        off.append(np.abs(optimised - errors[1].world_from_camera).max())
    assert off[1] < 0.5 * off[0]
