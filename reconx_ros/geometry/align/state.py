"""The unknowns of the alignment, and how well they explain the observations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.geometry.align.observations import Observations
from reconx_ros.geometry.align.rotations import moved

DEPTH_ROUNDS = 3
"""Rounds of reweighting when depth is solved for."""

DOUBTED = 2.5
"""A pair whose median residual is this many times the typical one is doubted."""

LEAST_NOISE = 0.01
"""Relative noise that pointmaps have at least: errors of a whole pair, such as a turned second view, do not
show in the spread of its pixels."""

NEAREST = 1e-9


@dataclass(frozen=True, eq=False)
class State:
    """Cameras and scales; the depths follow from them.

    Attributes:
        poses: [N, 4, 4] float64 world_from_camera.
        log_focal: [N] float64, natural logarithm of the factor on the focal lengths given.
        log_scale: [E] float64, of the pairs.
    """

    poses: Tensor
    log_focal: Tensor
    log_scale: Tensor

    def moved(self, poses: Tensor, log_focal: Tensor, log_scale: Tensor) -> "State":
        """Return the state after a step: poses [N, 6] in their camera frames, the others added."""
        turned = torch.from_numpy(moved(self.poses.numpy(), poses.numpy()))
        return State(turned, self.log_focal + log_focal, self.log_scale + log_scale)


@dataclass(frozen=True, eq=False)
class Noise:
    """How far observations stray.

    Attributes:
        relative: standard deviation of a point over its distance from the camera, along each axis.
        trust: [B] in (0, 1], what is left of the weight of a pair's blocks.
    """

    relative: float
    trust: Tensor


@dataclass(frozen=True, eq=False)
class Fit:
    """A state seen from the observations.

    Attributes:
        state: the cameras and scales.
        rays: [N, S, 3] by the focal lengths of the state.
        local: [B, S, 3], the points of a block in the camera frame of its view.
        depth: [N, S], along the optical axis: what the blocks of a view agree on.
        residual: [B, S, 3], depth times ray minus local.
        weight: [B, S] of the squared residuals (the next step's normal equations).
        loss: the objective.
    """

    state: State
    rays: Tensor
    local: Tensor
    depth: Tensor
    residual: Tensor
    weight: Tensor
    loss: float


def focused_rays(seen: Observations, log_focal: Tensor) -> Tensor:
    """Return the rays [N, S, 3] with focal lengths multiplied by ``exp(log_focal)`` [N]."""
    rays = seen.rays.clone()
    rays[..., :2] /= log_focal.exp()[:, None, None]
    return rays


def localised(seen: Observations, state: State) -> Tensor:
    """Return [B, S, 3]: each block's points, scaled, in the camera frame of the block's view.

    The pairwise pose of the paper is not free here: a pair's points are in the camera frame of its
    first view by construction, so that pose is the camera's own and only the scale is left.
    """
    scaled = seen.points * state.log_scale.exp().repeat_interleave(2)[:, None, None]
    local = scaled.clone()
    base, view = state.poses[seen.base[1::2]], state.poses[seen.view[1::2]]
    turn = view[:, :3, :3].transpose(1, 2)
    shift = turn @ (base[:, :3, 3:] - view[:, :3, 3:])
    local[1::2] = scaled[1::2] @ (turn @ base[:, :3, :3]).transpose(1, 2) + shift.transpose(1, 2)
    return local


def fit(seen: Observations, state: State, noise: Noise, worth: float) -> Fit:
    """Solve for the depths given ``state``, and measure.

    The objective is the paper's, ``sum log(C) ||chi - s T X||``, over the distance of the point, which is
    what the error of a pointmap grows with, and smooth at zero:
    ``worth / S * sum a t (sqrt(1 + x^2) - 1)`` with ``x = ||depth ray - local|| / (noise ||local||)``,
    a the weight of the observation and t the trust in its pair.

    Args:
        seen: what was observed.
        state: cameras and scales.
        noise: scale of the residuals.
        worth: independent measurements of a view in one pair.
    """
    rays, local = focused_rays(seen, state.log_focal), localised(seen, state)
    share = seen.weight * noise.trust[:, None] * (worth / seen.rays.shape[1])
    width = noise.relative * local.norm(dim=-1).clamp(min=NEAREST)
    along = (rays[seen.view] * local).sum(-1)
    square = (rays**2).sum(-1)
    quadratic = share / width**2
    weight = quadratic
    for _ in range(DEPTH_ROUNDS):
        total = _by_view(seen, weight)
        depth = _by_view(seen, weight * along) / (total * square).clamp(min=NEAREST)
        residual = depth[seen.view][..., None] * rays[seen.view] - local
        strayed = (1 + (residual.norm(dim=-1) / width) ** 2).sqrt()
        weight = quadratic / strayed
    loss = float((share * (strayed - 1)).sum())
    return Fit(state, rays, local, depth, residual, weight, loss)


def initial_noise(seen: Observations) -> Noise:
    """Return a noise so large that a residual counts nearly squared, and trust in all pairs."""
    return Noise(0.2, torch.ones(2 * seen.pairs, dtype=torch.float64))


def measured_noise(seen: Observations, found: Fit) -> Noise:
    """Return the noise that the residuals of ``found`` show.

    Only blocks of second views tell: those of first views lie on their rays whatever the cameras are.
    """
    relative = (found.residual.norm(dim=-1) / found.local.norm(dim=-1).clamp(min=NEAREST))[1::2]
    weight = seen.weight[1::2]
    medians = torch.stack([_median(r, w) for r, w in zip(relative, weight, strict=True)])
    strength = weight.sum(1)
    typical = float(_median(medians, strength).clamp(min=LEAST_NOISE))
    trust = (DOUBTED * typical / medians.clamp(min=LEAST_NOISE)).clamp(max=1.0) ** 2
    # The norm of two components across the ray is Rayleigh distributed: its median is 1.18 deviations.
    overall = float(_median(relative.flatten(), (weight * trust[:, None]).flatten()))
    return Noise(max(overall / 1.18, LEAST_NOISE), trust.repeat_interleave(2))


def _by_view(seen: Observations, values: Tensor) -> Tensor:
    """Sum values [B, S] over the blocks of each view."""
    total = values.new_zeros(seen.views, values.shape[1])
    return total.index_add_(0, seen.view, values)


def _median(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted median of [M]; 0 where nothing has a weight."""
    order = values.argsort()
    total = weight[order].cumsum(0)
    if float(total[-1]) <= 0:
        return values.new_zeros(())
    return values[order[int(torch.searchsorted(total, total[-1] / 2))]]
