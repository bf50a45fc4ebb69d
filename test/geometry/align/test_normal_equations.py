from collections.abc import Callable, Sequence

import numpy as np
import torch

from reconx_ros.geometry.align.normal_equations import (
    Columns,
    cross_matrices,
    derivatives,
    normal_equations,
)
from reconx_ros.geometry.align.observations import Observations, observe
from reconx_ros.geometry.align.pairs import PairPointMaps
from reconx_ros.geometry.align.search import moved
from reconx_ros.geometry.align.state import Noise, State, fit, focused_rays, localised
from reconx_ros.keyframes.keyframe import Keyframe


def problem(
    walk: Sequence[Keyframe], predicted: Callable[..., list[PairPointMaps]], flaws: Callable[..., object]
) -> tuple[Observations, State, Columns]:
    """Three views in four pairs, away from the optimum."""
    pairs = predicted(walk[:3], [(0, 1), (1, 0), (1, 2), (2, 0)], flaws(noise=0.02))
    seen = observe(pairs, [k.camera for k in walk[:3]], 60)
    generator = torch.Generator().manual_seed(0)
    poses = torch.from_numpy(np.stack([k.camera.world_from_camera for k in walk[:3]]))
    state = State(poses, torch.zeros(3, dtype=torch.float64), torch.zeros(4, dtype=torch.float64))
    columns = Columns.number(torch.ones(3).bool(), torch.ones(3).bool(), torch.ones(4).bool())
    step = 0.05 * torch.randn(columns.count, generator=generator, dtype=torch.float64)
    return seen, moved(state, step, columns), columns


def test_derivatives_equal_differences(
    walk: Sequence[Keyframe], predicted: Callable[..., list[PairPointMaps]], flaws: Callable[..., object]
) -> None:
    seen, state, columns = problem(walk, predicted, flaws)
    at = fit(seen, state, Noise(0.05, torch.ones(8, dtype=torch.float64)), 20.0)
    slopes, where = derivatives(seen, at), columns.of_blocks(seen)
    for column in range(columns.count):
        step = torch.zeros(columns.count, dtype=torch.float64)
        step[column] = 1e-6
        residuals = []
        for sign in (1, -1):
            other = moved(state, sign * step, columns)
            rays, local = focused_rays(seen, other.log_focal)[seen.view], localised(seen, other)
            relative = (local - at.depth[seen.view][..., None] * rays) / local.norm(dim=-1, keepdim=True)
            residuals.append(relative * at.local.norm(dim=-1, keepdim=True))
        numeric = (residuals[0] - residuals[1]) / 2e-6
        analytic = torch.zeros_like(numeric)
        for block, local in (where == column).nonzero():
            analytic[block] += slopes[block, :, :, local]
        known = (seen.weight > 0)[..., None]
        assert torch.allclose(numeric * known, analytic * known, atol=1e-6)


def test_the_step_minimises_over_cameras_scales_and_depths_together(
    walk: Sequence[Keyframe], predicted: Callable[..., list[PairPointMaps]], flaws: Callable[..., object]
) -> None:
    """Against a dense least-squares problem with every depth as an unknown of its own."""
    seen, state, columns = problem(walk, predicted, flaws)
    at = fit(seen, state, Noise(0.05, torch.ones(8, dtype=torch.float64)), 20.0)
    h, g = normal_equations(seen, at, columns)
    slopes, where, root = derivatives(seen, at), columns.of_blocks(seen), at.weight.sqrt()
    blocks, samples = seen.weight.shape
    dense = torch.zeros(blocks, samples, 3, columns.count + 1 + 3 * samples, dtype=torch.float64)
    for block in range(blocks):
        for local, column in enumerate(where[block]):
            dense[block, :, :, column] -= slopes[block, :, :, local]
        for sample in range(samples):
            own = columns.count + 1 + int(seen.view[block]) * samples + sample
            dense[block, sample, :, own] = at.rays[seen.view[block], sample]
    dense[..., columns.count] = 0
    matrix = (dense * root[..., None, None]).reshape(-1, dense.shape[-1])
    aim = -(at.residual * root[..., None]).reshape(-1)
    free = [c for c in range(matrix.shape[1]) if c >= 6 and c != columns.count - 4 and c != columns.count]
    step = torch.linalg.lstsq(matrix[:, free], aim[:, None], driver="gelsd").solution[:, 0]
    kept = [c for c in free if c < columns.count]
    reduced = torch.linalg.solve(h[kept][:, kept], g[kept])
    assert torch.allclose(reduced, step[: len(kept)], atol=1e-6)


def test_cross_matrices() -> None:
    a, b = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose((cross_matrices(a) @ b[..., None])[..., 0], torch.cross(a, b, dim=-1))
