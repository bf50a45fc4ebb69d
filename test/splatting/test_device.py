"""Where Gaussians are kept and drawn, by the rasterizer and what is there."""

import pytest
import torch
from test_optimise import CONFIG, camera, view_of, wall

from reconx_ros.config import load_config
from reconx_ros.errors import MissingDependencyError, SplattingError
from reconx_ros.splatting import gsplat_backend, rasterize
from reconx_ros.splatting.config import RefinementConfig
from reconx_ros.splatting.device import drawing_device
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.rasterize import render_view


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU, as far as choosing goes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def gsplat_draws(monkeypatch: pytest.MonkeyPatch, does: bool) -> None:
    monkeypatch.setattr(gsplat_backend, "usable", lambda: does)
    monkeypatch.setattr(gsplat_backend, "missing", lambda: None if does else "no kernels")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("rasterizer", "device", "usable", "expected"),
    [
        ("auto", "auto", True, "cuda"),
        ("auto", "auto", False, "cpu"),
        ("auto", "cuda", False, "cpu"),
        ("auto", "cpu", True, "cpu"),
        ("cpu", "auto", True, "cpu"),
        ("cpu", "cuda", True, "cpu"),
        ("gsplat", "auto", True, "cuda"),
        ("reference", "auto", False, "cuda"),
        ("reference", "cpu", True, "cpu"),
    ],
)
def test_device_by_rasterizer_and_what_gsplat_can(
    monkeypatch: pytest.MonkeyPatch, rasterizer: str, device: str, usable: bool, expected: str
) -> None:
    gsplat_draws(monkeypatch, usable)
    assert drawing_device(rasterizer, device).type == expected


@pytest.mark.usefixtures("gpu")
def test_gsplat_that_cannot_draw_is_an_error_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gsplat_draws(monkeypatch, False)
    with pytest.raises(MissingDependencyError, match="'gsplat' cannot run: no kernels; or choose 'cpu'"):
        drawing_device("gsplat", "auto")
    gsplat_draws(monkeypatch, True)
    with pytest.raises(SplattingError, match="'gsplat' cannot draw on device 'cpu': choose cuda or auto"):
        drawing_device("gsplat", "cpu")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("rasterizer", ["auto", "cpu"])
def test_with_a_gpu_and_no_gsplat_steps_are_fused_and_cameras_can_be_fitted(
    monkeypatch: pytest.MonkeyPatch, rasterizer: str
) -> None:
    gsplat_draws(monkeypatch, False)
    settings = {"rasterizer": rasterizer, "refine": RefinementConfig(poses=True)}
    optimiser = GaussianOptimiser(wall(), CONFIG.model_copy(update=settings))
    optimiser.add_views([view_of(wall())])
    assert optimiser._residence.fused
    assert optimiser.run(steps=2).steps == 2


@pytest.mark.usefixtures("gpu")
def test_pictures_are_drawn_on_the_device_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    gsplat_draws(monkeypatch, True)
    config, seen = load_config("fast", None, {"device": "cpu"}), []
    drawn = rasterize._drawn

    def noted(*arguments: object) -> object:
        seen.append(arguments[3])
        return drawn(*arguments)

    monkeypatch.setattr(rasterize, "_drawn", noted)
    render_view(wall(), camera(), *config.drawing)
    assert seen == [torch.device("cpu")]
