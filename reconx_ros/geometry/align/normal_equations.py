"""Normal equations of the cameras and scales, the depths eliminated (Schur complement)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.geometry.align.observations import Observations
from reconx_ros.geometry.align.state import NEAREST, Fit

LOCAL = 14
"""Unknowns that a block depends on: the base view's pose, its own view's pose, scale, focal length."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Where each unknown stands among the n that are solved for; n itself means that it is fixed.

    Attributes:
        pose: [N, 6] int64; translation, then rotation, in the camera frame.
        focal: [N] int64; views may share one.
        scale: [E] int64.
        count: n.
    """

    pose: Tensor
    focal: Tensor
    scale: Tensor
    count: int

    @staticmethod
    def number(free_pose: Tensor, free_focal: Tensor, free_scale: Tensor) -> "Columns":
        """Number the unknowns that the masks [N], [N] and [E] leave free."""
        poses, focals, scales = (int(mask.sum()) for mask in (free_pose, free_focal, free_scale))
        count = 6 * poses + focals + scales
        pose = torch.full((len(free_pose), 6), count)
        pose[free_pose] = torch.arange(6 * poses).view(-1, 6)
        focal, scale = torch.full((len(free_focal),), count), torch.full((len(free_scale),), count)
        focal[free_focal] = 6 * poses + torch.arange(focals)
        scale[free_scale] = 6 * poses + focals + torch.arange(scales)
        return Columns(pose, focal, scale, count)

    def of_blocks(self, seen: Observations) -> Tensor:
        """Return the columns [B, LOCAL] of the blocks; a first view's block depends on no pose."""
        scale = self.scale.repeat_interleave(2)[:, None]
        columns = torch.cat(
            [self.pose[seen.base], self.pose[seen.view], scale, self.focal[seen.view][:, None]], 1
        )
        columns[0::2, :12] = self.count
        return columns


def normal_equations(seen: Observations, found: Fit, columns: Columns) -> tuple[Tensor, Tensor]:
    """Return H [n, n] and g [n] of the Gauss-Newton step ``H step = g`` of the observations alone.

    With the residual ``r = depth ray - local`` and M of ``derivatives`` the step minimises
    ``sum w ||r + change_of_depth ray - M step||^2`` over the unknowns and the depths.
    """
    slopes = derivatives(seen, found)
    rays = found.rays[seen.view]
    weighted = slopes * found.weight[..., None, None]
    rows = weighted.flatten(1, 2).transpose(1, 2)
    gram = rows @ slopes.flatten(1, 2)
    right = (rows @ found.residual.flatten(1, 2)[..., None])[..., 0]
    across = (rays[..., None, :] @ weighted)[..., 0, :]  # [B, S, LOCAL], to be eliminated
    where = columns.of_blocks(seen)
    size = columns.count + 1
    h = torch.zeros(size, size, dtype=torch.float64)
    g = torch.zeros(size, dtype=torch.float64)
    h.index_put_((where[:, :, None], where[:, None, :]), gram, accumulate=True)
    g.index_put_((where,), right, accumulate=True)
    along = found.weight * (rays * found.residual).sum(-1)
    for view in range(seen.views):
        _eliminate(seen, found, view, across, along, where, h, g)
    return h[:-1, :-1], g[:-1]


def _eliminate(
    seen: Observations,
    found: Fit,
    view: int,
    across: Tensor,
    along: Tensor,
    where: Tensor,
    h: Tensor,
    g: Tensor,
) -> None:
    """Subtract what the depths of one view explain."""
    blocks = (seen.view == view).nonzero()[:, 0]
    if len(blocks) == 0:
        return
    used, place = torch.unique(where[blocks], return_inverse=True)
    samples = across.shape[1]
    coupling = torch.zeros(len(used), samples, dtype=torch.float64)
    rows = across[blocks].permute(0, 2, 1).reshape(-1, samples)
    coupling.index_add_(0, place.flatten(), rows)
    own = found.weight[blocks].sum(0) * (found.rays[view] ** 2).sum(-1)
    inverse = torch.where(own > NEAREST, 1 / own.clamp(min=NEAREST), 0.0)
    scaled = coupling * inverse
    h.index_put_((used[:, None], used[None]), -(scaled @ coupling.T), accumulate=True)
    g.index_put_((used,), -(scaled @ along[blocks].sum(0)), accumulate=True)


def derivatives(seen: Observations, found: Fit) -> Tensor:
    """Return [B, S, 3, LOCAL]: minus how the relative residual changes, times the distance of the point.

    The residual counts over the distance ``n = ||local||``, which changes too: left out, every step
    would shrink the world, as that makes all residuals smaller. So this is
    ``d(local - depth ray) + r (local . d local) / n^2``. Poses change on their right: ``pose exp(step)``,
    translation and rotation vector in the camera frame.
    """
    state = found.state
    blocks, samples = seen.weight.shape
    slopes = torch.zeros(blocks, samples, 3, LOCAL, dtype=torch.float64)
    base, view = state.poses[seen.base[1::2]], state.poses[seen.view[1::2]]
    turn = view[:, :3, :3].transpose(1, 2) @ base[:, :3, :3]
    scaled = seen.points * state.log_scale.exp().repeat_interleave(2)[:, None, None]
    second = slopes[1::2]
    second[..., :3] = turn[:, None]
    second[..., 3:6] = -turn[:, None] @ cross_matrices(scaled[1::2])
    second[..., 6:9] = -torch.eye(3, dtype=torch.float64)
    second[..., 9:12] = cross_matrices(found.local[1::2])
    slopes[0::2, ..., 12] = scaled[0::2]
    second[..., 12] = scaled[1::2] @ turn.transpose(1, 2)
    inward = (found.local[..., None, :] @ slopes)[..., 0, :]
    square = (found.local**2).sum(-1).clamp(min=NEAREST)
    slopes += (found.residual / square[..., None])[..., None] * inward[..., None, :]
    slopes[..., :2, 13] = (found.depth[..., None] * found.rays[..., :2])[seen.view]
    return slopes


def cross_matrices(vectors: Tensor) -> Tensor:
    """Return [..., 3, 3] with ``cross_matrices(a) b = a x b`` of vectors [..., 3]."""
    x, y, z = vectors.unbind(-1)
    nothing = torch.zeros_like(x)
    rows = [nothing, -z, y, z, nothing, -x, -y, x, nothing]
    return torch.stack(rows, -1).reshape(*vectors.shape, 3)
