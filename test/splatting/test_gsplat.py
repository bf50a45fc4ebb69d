"""gsplat against the reference. Runs on CUDA only: nothing here is shown by a run that skips it.

gsplat is compiled with fast-math, and the tolerance is that of its intrinsics. 1.5 clips alpha at 0.999, so
it is compared with the reference at that clip.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import Recipe, decided, parameters, scene

from reconx_ros.splatting import gsplat_backend, model
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import rasterize

SOME = Recipe(7, 60, 2, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0)
OPAQUE = replace(SOME, seed=2, logit=(4.0, 12.0))
CLIP = 0.999
"""Of alpha in gsplat 1.5."""


@pytest.fixture(autouse=True)
def _needs_gsplat(request: pytest.FixtureRequest) -> None:
    if "gpu" in request.keywords and gsplat_backend.missing() is not None:
        pytest.skip(str(gsplat_backend.missing()))


def test_the_camera_is_handed_over_with_its_pixel_centres_moved() -> None:
    _, view = scene(SOME)
    arguments = gsplat_backend.view_arguments(view, torch.zeros(1, dtype=torch.float64))
    expected = view.intrinsics.copy()
    expected[:2, 2] += 0.5
    np.testing.assert_allclose(arguments["Ks"][0], expected)
    np.testing.assert_allclose(
        arguments["viewmats"][0].numpy() @ view.world_from_camera, np.eye(4), atol=1e-12
    )


def test_rows_that_cannot_be_drawn_are_left_out() -> None:
    arrays, _ = scene(SOME)
    arrays[0][2, 1], arrays[4][5, 3, 2], arrays[2][7] = np.nan, np.inf, 0
    rows = gsplat_backend.drawable_rows(parameters(arrays, torch.float32))
    np.testing.assert_array_equal(rows, np.setdiff1d(np.arange(60), [2, 5, 7]))


@pytest.mark.gpu
@pytest.mark.parametrize(("recipe", "compensate"), [(SOME, False), (SOME, True), (OPAQUE, False)])
def test_agrees_with_the_reference(
    monkeypatch: pytest.MonkeyPatch, recipe: Recipe, compensate: bool
) -> None:
    monkeypatch.setattr(model, "ALPHA_MAX", CLIP)
    arrays, view = scene(recipe)
    exact = parameters(arrays, torch.float64)
    fast = GaussianParameters(
        *(torch.tensor(a, dtype=torch.float32, device="cuda", requires_grad=True) for a in arrays)
    )
    mask, clear = decided(exact, view, compensate)
    assert clear
    options = {"compensate": compensate, "contribution": True}
    background = torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)
    true = rasterize(exact, view, background=background, backend="reference", **options)
    drawn = rasterize(fast, view, background=background.cuda(), backend="gsplat", **options)
    for name in ("color", "depth", "alpha"):
        expected, actual = getattr(true, name)[mask], getattr(drawn, name).cpu().double()[mask]
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3)
    assert not (true.contribution.gt(0.01) & ~drawn.visible.cpu()).any()
    for rendered, weight in ((true, mask), (drawn, mask.cuda())):
        image = rendered.color.sum(-1) + rendered.depth + rendered.alpha
        (image * weight).sum().backward()
    for expected, actual in zip(exact.tensors(), fast.tensors(), strict=True):
        error = (actual.grad.cpu().double() - expected.grad).abs().max()
        assert error <= 1e-2 * expected.grad.abs().max()


@pytest.mark.gpu
def test_nothing_to_draw_is_the_background() -> None:
    arrays, view = scene(SOME)
    none = GaussianParameters(*(torch.tensor(a[:0], dtype=torch.float32, device="cuda") for a in arrays))
    rendered = rasterize(none, view, background=torch.tensor([0.1, 0.2, 0.3]), backend="gsplat")
    assert torch.allclose(rendered.color.cpu(), torch.tensor([0.1, 0.2, 0.3]).expand(35, 45, 3))


@pytest.mark.gpu
def test_a_view_that_sees_nothing_is_the_background_and_moves_nothing() -> None:
    arrays, view = scene(SOME)
    turned = view.moved(view.world_from_camera @ np.diag([-1.0, 1, -1, 1]) @ view.camera_from_world)
    arrays[0] = arrays[0][:1] + 0 * arrays[0]  # all in one place, which is behind the camera
    some = GaussianParameters(
        *(torch.tensor(a, dtype=torch.float32, device="cuda", requires_grad=True) for a in arrays)
    )
    background = torch.tensor([0.1, 0.2, 0.3], device="cuda")
    rendered = rasterize(some, turned, background=background, backend="gsplat", contribution=True)
    assert torch.allclose(rendered.color, background.expand(35, 45, 3))
    assert not rendered.visible.any() and not rendered.contribution.any()
    (rendered.color.sum() + rendered.depth.sum() + rendered.alpha.sum()).backward()
    assert all(tensor.grad is None or not tensor.grad.any() for tensor in some.tensors())


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, backend: str) -> str | None:
    """What is missing with a GPU and a gsplat whose module for kernels is ``backend``."""
    (folder / "gsplat" / "cuda").mkdir(parents=True)
    for file, text in (("__init__.py", ""), ("cuda/__init__.py", ""), ("cuda/_backend.py", backend)):
        (folder / "gsplat" / file).write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return gsplat_backend.missing.__wrapped__()


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        ("_C = None", "gsplat has no CUDA kernels, for there is no nvcc to compile them"),
        ("import sought", "the Python module 'sought' is missing: install it"),
        (
            "raise RuntimeError('nvcc failed\\nlong log')",
            r"gsplat's CUDA kernels do not compile \(RuntimeError: nvcc failed\)",
        ),
        ("raise OSError", r"gsplat's CUDA kernels do not compile \(OSError\)"),
        ("_C = 1", r"gsplat's CUDA kernels do not run \(.*\)"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, told: str
) -> None:
    reason = installed(tmp_path, monkeypatch, backend)
    advice = r": install the CUDA .* toolkit \(nvcc\), or a gsplat wheel built for torch"
    assert re.match(told if "install" in told else told + advice, str(reason)), reason
    assert "\n" not in str(reason) and "[" not in str(reason)
