"""The CPU rasterizer in float32 against the reference in float64.

Inputs are the same to the last bit. Pixels where float32 may decide otherwise than float64 (an alpha
beside a limit) are left out of the comparison and of the loss. What then remains is rounding: over a
thousand scenes values differ by at most 1e-5, gradients by 5e-4 (of the largest of their tensor; the
largest for the scales of Gaussians that fill the view, where terms cancel). The tolerances are about
four times that; a wrong term shows at 1e-2 and above.
"""

import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from scenes import RECIPES, Array, Recipe, decided, parameters, scene
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting.cpu import splats
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.rasterize import Rendered, rasterize

VALUES, GRADIENTS = 5e-5, 2e-3
SOME = Recipe(7, 50, 2, 45, 35, (-3.0, -1.0), (-1.0, 3.0), 0.2, 0.0)


def loss(rendered: Rendered, weights: list[Tensor]) -> Tensor:
    images = (rendered.color, rendered.depth, rendered.alpha)
    return torch.stack(
        [(i * w.to(i)).sum() for i, w in zip(images, weights, strict=True)]
    ).sum()  # fmt: skip


def random_weights(view: Camera, mask: Tensor, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size = (view.height, view.width)
    shapes = [(*size, 3), size, size]
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [weights[0] * mask[..., None], weights[1] * mask, weights[2] * mask]


def assert_images_agree(exact: Rendered, fast: Rendered, mask: Tensor) -> None:
    for name in ("color", "depth", "alpha"):
        expected, actual = getattr(exact, name)[mask], getattr(fast, name)[mask].double()
        torch.testing.assert_close(
            actual, expected, rtol=VALUES, atol=VALUES, msg=lambda m, n=name: f"{n}: {m}"
        )


def assert_gradients_agree(exact: GaussianParameters, fast: GaussianParameters) -> None:
    for expected, actual in zip(exact.tensors(), fast.tensors(), strict=True):
        assert expected.grad is not None and actual.grad is not None
        if len(expected):
            largest = float(expected.grad.abs().max())
            error = (actual.grad.double() - expected.grad).abs().max()
            assert error <= GRADIENTS * (largest + 1e-3)


def compare(arrays: list[Array], view: Camera, background: Tensor, seed: int, compensate: bool) -> None:
    exact, fast = parameters(arrays, torch.float64), parameters(arrays, torch.float32)
    mask, clear = decided(exact, view, compensate)
    if not clear:
        reject()
    options = {"background": background, "compensate": compensate, "contribution": True}
    true = rasterize(exact, view, backend="reference", **options)
    drawn = rasterize(fast, view, backend="cpu", **options)
    assert_images_agree(true, drawn, mask)
    weights = random_weights(view, mask, seed)
    loss(true, weights).backward()
    loss(drawn, weights).backward()
    assert_gradients_agree(exact, fast)
    if mask.all():
        torch.testing.assert_close(drawn.contribution.double(), true.contribution, rtol=1e-3, atol=1e-3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(recipe=RECIPES, compensate=st.booleans())
def test_agrees_with_the_reference(recipe: Recipe, compensate: bool) -> None:
    # Compensated opacities of Gaussians far below a pixel depend on 1 / area: not comparable in float32.
    compensate &= recipe.log_scale[0] > -5
    arrays, view = scene(recipe)
    background = torch.rand(3, generator=torch.Generator().manual_seed(recipe.seed % 2**31))
    compare(arrays, view, background.double(), recipe.seed % 2**31, compensate)


def test_visible_are_those_of_the_reference() -> None:
    arrays, view = scene(SOME)
    exact = rasterize(parameters(arrays, torch.float64), view, backend="reference").visible
    fast = rasterize(parameters(arrays, torch.float32), view, backend="cpu").visible
    assert exact.any() and not exact.all()
    assert torch.equal(exact, fast)


def test_needles_across_many_tiles() -> None:
    """Long thin Gaussians at all angles, where the inverse covariance would have lost its digits."""
    rng = np.random.default_rng(1)
    arrays, _ = scene(SOME)
    view = Camera(np.array([[200.0, 0, 80], [0, 200, 60], [0, 0, 1]]), np.eye(4), 160, 120)
    arrays[0] = (rng.uniform([-0.5, -0.4, 2], [0.5, 0.4, 3], (50, 3))).astype(np.float32).astype(float)
    arrays[1] = np.log(np.tile([0.6, 0.001, 0.001], (50, 1))).astype(np.float32).astype(float)
    compare(arrays, view, torch.zeros(3, dtype=torch.float64), 0, False)


def test_many_gaussians_finish_tiles_early() -> None:
    """Enough opaque Gaussians that every tile stops before the end of its list."""
    rng = np.random.default_rng(2)
    n = 600
    arrays = [
        np.column_stack([rng.uniform([-1.5, -1.2], [1.5, 1.2], (n, 2)), np.linspace(2, 4, n)]),
        rng.uniform(-1.6, -1.0, (n, 3)),
        rng.normal(size=(n, 4)),
        np.full(n, 4.0),
        rng.normal(size=(n, 1, 3)),
    ]
    arrays = [array.astype(np.float32).astype(np.float64) for array in arrays]
    view = Camera(np.array([[40.0, 0, 20], [0, 40, 15], [0, 0, 1]]), np.eye(4), 41, 31)
    rendered = rasterize(parameters(arrays, torch.float32), view, backend="cpu", contribution=True)
    hidden = (rendered.contribution == 0) & rendered.visible
    assert hidden.sum() > n // 4
    compare(arrays, view, torch.zeros(3, dtype=torch.float64), 0, False)


@pytest.mark.parametrize("field", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_numbers_that_are_not_finite_leave_a_gaussian_out(field: int, value: float, backend: str) -> None:
    arrays, view = scene(SOME)
    arrays[2][3] = 0  # a quaternion that is no rotation
    for array in (arrays[field],):
        array.reshape(len(array), -1)[10:20, 0] = value
    bad = np.isin(np.arange(50), [3, *range(10, 20)])
    whole, rest = (
        parameters([array[rows] for array in arrays], torch.float32) for rows in (slice(None), ~bad)
    )
    drawn, without = rasterize(whole, view, backend=backend), rasterize(rest, view, backend=backend)
    assert torch.equal(drawn.color, without.color)
    assert not drawn.visible[torch.tensor(bad)].any()
    (drawn.color.sum() + drawn.depth.sum()).backward()
    for tensor in whole.tensors():
        assert torch.isfinite(tensor.grad).all()
        assert (tensor.grad[torch.tensor(bad)] == 0).all()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_any_number_of_gaussians(count: int) -> None:
    arrays, view = scene(Recipe(3, count, 1, 20, 10, (-2.0, -1.0), (0.0, 2.0), 0.0, 0.0))
    compare(arrays, view, torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), 1, False)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (splats.TILE_WIDTH, splats.TILE_HEIGHT), (splats.TILE_WIDTH + 1, 2 * splats.TILE_HEIGHT - 1)],
)
def test_any_size_of_image(size: tuple[int, int]) -> None:
    arrays, view = scene(Recipe(4, 30, 0, *size, (-2.0, -1.0), (0.0, 2.0), 0.0, 0.0))
    compare(arrays, view, torch.zeros(3, dtype=torch.float64), 1, False)


def test_lower_degrees_ignore_the_rest() -> None:
    arrays, view = scene(SOME)
    fast = parameters(arrays, torch.float32)
    drawn = rasterize(fast, view, sh_degree=1, backend="cpu")
    arrays[4] = arrays[4][:, :4]
    assert torch.equal(drawn.color, rasterize(parameters(arrays, torch.float32), view, backend="cpu").color)
    drawn.color.sum().backward()
    assert (fast.sh.grad[:, 4:] == 0).all() and (fast.sh.grad[:, :4] != 0).any()


def gradients(arrays: list[Array], view: Camera) -> list[Tensor]:
    fast = parameters(arrays, torch.float32)
    rendered = rasterize(fast, view, backend="cpu")
    loss(rendered, random_weights(view, torch.ones(view.height, view.width), 5)).backward()
    return [rendered.color.detach(), *(tensor.grad for tensor in fast.tensors())]


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    arrays, view = scene(SOME)
    before = numba.get_num_threads()
    results = []
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            results.append(gradients(arrays, view))
    finally:
        numba.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_passes_may_overlap_and_repeat() -> None:
    """Two forward passes before any backward pass, and a second backward pass through the first."""
    arrays, view = scene(SOME)
    other_arrays, other_view = scene(Recipe(8, 80, 2, 64, 48, (-3.0, -1.0), (-1.0, 3.0), 0.0, 0.0))
    expected = gradients(arrays, view)[1:]
    fast, other = parameters(arrays, torch.float32), parameters(other_arrays, torch.float32)
    first, second = rasterize(fast, view, backend="cpu"), rasterize(other, other_view, backend="cpu")
    second.color.sum().backward()
    value = loss(first, random_weights(view, torch.ones(view.height, view.width), 5))
    value.backward(retain_graph=True)
    rasterize(other, other_view, backend="cpu")
    value.backward()
    for tensor, gradient in zip(fast.tensors(), expected, strict=True):
        torch.testing.assert_close(tensor.grad, 2 * gradient, rtol=1e-6, atol=1e-6)


def test_several_python_threads_may_draw() -> None:
    arrays, view = scene(SOME)
    expected = gradients(arrays, view)
    results: list[list[Tensor]] = []
    workers = [threading.Thread(target=lambda: results.append(gradients(arrays, view))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    assert all(torch.equal(a, b) for r in results for a, b in zip(expected, r, strict=True))


def test_parameters_changed_before_the_backward_pass_are_noticed() -> None:
    arrays, view = scene(SOME)
    fast = parameters(arrays, torch.float32)
    rendered = rasterize(fast, view, backend="cpu")
    with torch.no_grad():
        fast.means += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rendered.color.sum().backward()


def test_a_second_process_compiles_nothing() -> None:
    """A training step, with and without autograd, loads all its kernels from the disk."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import torch\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "from scenes import parameters, scene; from test_cpu_autograd import SOME\n"
        "from test_loss import WEIGHTS, random_target, view_loss\n"
        "from test_cpu_step import RATES, by_autograd\n"
        "from reconx_ros.splatting.adam import GaussianAdam\n"
        "from reconx_ros.splatting.cpu.step import Frame\n"
        "arrays, view = scene(SOME)\n"
        "ours = parameters(arrays, torch.float32)\n"
        "adam = GaussianAdam(ours)\n"
        "by_autograd(ours, view, adam, {'contribution': True})\n"
        "frame = Frame(ours, view)\n"
        "view_loss(frame.color, frame.depth, frame.alpha, random_target(35, 45), WEIGHTS).backward()\n"
        "frame.step(adam, RATES)\n"
        "modules = [m for n, m in sys.modules.items() if n.startswith('reconx_ros.splatting.cpu.')]\n"
        "kernels = {k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)}\n"
        "kept = [k for k in kernels if k.stats.cache_path]\n"
        "print(sum(sum(k.stats.cache_misses.values()) for k in kept),\n"
        "      sum(sum(k.stats.cache_hits.values()) for k in kept))\n"
    )
    folder = __file__.rpartition("/")[0]
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
        )
        counts.append([int(number) for number in done.stdout.split()])
    assert counts[1][0] == 0 and counts[1][1] >= 15
