"""The compiled stages of a warp against the same stages in torch."""

import pytest
import torch

from reconx_ros.structure.closing import close, close_batched
from reconx_ros.structure.conditioning import warp_references
from reconx_ros.structure.sampling import References, sample, sample_batched
from reconx_ros.structure.warp import homographies, pixel_splats
from reconx_ros.structure.zbuffer import draw, draw_batched

from .scenes import SIZE, K, Plane, clip, pose

PLANES = [Plane(offset=1.0, half=0.25, tint=0.5), Plane(normal=(0.3, -0.2, 1.0), offset=3.0)]
TARGETS = [pose(), pose(0.2, 0.1), pose(z=0.6), pose(-0.1, yaw=-0.3), pose(z=-2), pose(0.05, z=0.85)]


@pytest.fixture(scope="module")
def references() -> References:
    given = clip(PLANES, [pose()], TARGETS)
    generator = torch.Generator().manual_seed(5)
    depth = given["depth"][0] * (1 + 0.01 * torch.randn(1, 1, *SIZE, generator=generator))
    depth[torch.rand(depth.shape, generator=generator) < 0.05] = torch.nan
    return References.of(given["color"][0], depth, torch.rand(1, 1, *SIZE, generator=generator))


@pytest.mark.parametrize("target", TARGETS)
def test_compiled_equals_batched(references: References, target: torch.Tensor) -> None:
    which = torch.zeros(1, dtype=torch.int64)
    a, b = homographies(K[None], pose()[None], K[None], target[None])
    splats = pixel_splats(references.surface, which, a, b)
    drawn, slow = draw(splats, SIZE), draw_batched(splats, SIZE)
    assert (drawn >= 0).float().mean() > 0.1
    # Rounding may settle a tie otherwise; that may not happen to one pixel in 500.
    assert (drawn != slow).float().mean() < 0.002
    index, changed = close(splats, drawn, SIZE)
    slow_index, slow_changed = close_batched(splats, drawn, SIZE)
    assert torch.equal(index, slow_index)
    assert torch.equal(changed, slow_changed)
    layers = sample(references, which, splats, index, changed, SIZE)
    slow_layers = sample_batched(references, which, splats, index, changed, SIZE)
    torch.testing.assert_close(layers, slow_layers, atol=2e-4, rtol=2e-4)


def test_the_cases_above_close_gaps(references: References) -> None:
    """A comparison of nothing would pass as well."""
    which = torch.zeros(len(TARGETS), dtype=torch.int64)
    a, b = homographies(K[None], pose()[None], K[None], torch.stack(TARGETS))
    splats = pixel_splats(references.surface, which, a, b)
    _, changed = close(splats, draw(splats, SIZE), SIZE)
    assert changed.any(dim=1).all()
    assert changed.sum() > 300


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu() -> None:
    given = clip(PLANES, [pose(), pose(0.1)], TARGETS)
    given["depth"][..., 5:9, 7:12] = torch.nan
    slow = warp_references(**given, size=SIZE, overscan=0.25, guess=True)
    there = {name: tensor.cuda() for name, tensor in given.items()}
    fast = warp_references(**there, size=SIZE, overscan=0.25, guess=True)
    for name in ("color", "coverage", "guessed", "depth", "confidence"):
        wrong = (getattr(fast, name).cpu() - getattr(slow, name)).abs() > 1e-3
        assert wrong.float().mean() < 0.002
