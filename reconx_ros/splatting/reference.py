"""The rasterizer to check the others against: plain PyTorch, every Gaussian at every pixel.

Each line is an equation of Kerbl et al. 2023 (3DGS) or Zwicker et al. 2001 (EWA); gradients are
autograd's. It takes time and memory of N x pixels and works in the floating type of the parameters.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reconx_ros.camera import Camera
from reconx_ros.splatting import model
from reconx_ros.splatting.parameters import GaussianParameters

PAIRS_AT_ONCE = 1 << 21
"""Pixels are composited in chunks of at most this many Gaussian-pixel pairs."""


@dataclass(eq=False)
class Projection:
    """Projected Gaussians: means [N, 2] px, covariances [N, 2, 2] px², depths [N], opacities, colours."""

    means: Tensor
    covariances: Tensor
    depths: Tensor
    opacities: Tensor
    colors: Tensor


def rotation_matrices(quaternions_wxyz: Tensor) -> Tensor:
    """Return the [N, 3, 3] rotations of [N, 4] quaternions of any length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions_wxyz, dim=-1, eps=0.0).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Return the [N, (degree + 1)²] real spherical harmonics of unit directions [N, 3] (3DGS signs)."""
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    basis = [torch.full_like(x, 0.5 * math.sqrt(1 / math.pi))]
    if degree > 0:
        c = math.sqrt(3 / (4 * math.pi))
        basis += [-c * y, c * z, -c * x]
    if degree > 1:
        c = 0.5 * math.sqrt(15 / math.pi)
        basis += [c * x * y, -c * y * z, c / math.sqrt(12) * (2 * zz - xx - yy)]
        basis += [-c * x * z, 0.5 * c * (xx - yy)]
    if degree > 2:
        c = 0.25 * math.sqrt(35 / (2 * math.pi))
        d = 0.25 * math.sqrt(21 / (2 * math.pi))
        basis += [-c * y * (3 * xx - yy), 0.5 * math.sqrt(105 / math.pi) * x * y * z]
        basis += [-d * y * (4 * zz - xx - yy)]
        basis += [0.25 * math.sqrt(7 / math.pi) * z * (2 * zz - 3 * xx - 3 * yy)]
        basis += [-d * x * (4 * zz - xx - yy), 0.25 * math.sqrt(105 / math.pi) * z * (xx - yy)]
        basis += [-c * x * (xx - 3 * yy)]
    return torch.stack(basis, dim=-1)


def corrected(camera: Camera, correction: Tensor) -> tuple[Tensor, Tensor]:
    """Return pose (camera from world) [4, 4] and intrinsics [2, 3] of a corrected camera.

    Args:
        camera: the view.
        correction: [8], a twist (translation, rotation) in the camera's frame, applied after
            ``camera_from_world``, and the logarithms of factors on the two focal lengths.
    """
    x, y, z, a, b, c, *_ = correction.unbind()
    o = torch.zeros_like(x)
    rows = [[o, -c, b, x], [c, o, -a, y], [-b, a, o, z], [o, o, o, o]]
    motion = torch.linalg.matrix_exp(torch.stack([torch.stack(row) for row in rows]))
    pose = motion @ torch.from_numpy(camera.camera_from_world).to(correction)
    intrinsics = torch.from_numpy(camera.intrinsics[:2]).to(correction)
    focal = torch.diag_embed(intrinsics[:, :2].diagonal() * correction[6:].exp())
    return pose, torch.cat([focal, intrinsics[:, 2:]], dim=1)


def project(
    parameters: GaussianParameters,
    camera: Camera,
    degree: int,
    compensate: bool,
    correction: Tensor | None = None,
) -> Projection:
    """Return the Gaussians in the image (3DGS eq. 5: Σ' = J W Σ Wᵀ Jᵀ, plus the low-pass filter).

    ``correction`` [8] moves the camera and carries gradients (``corrected``).
    """
    like = parameters.means
    pose, intrinsics = corrected(camera, like.new_zeros(8) if correction is None else correction)
    centre = -pose[:3, :3].T @ pose[:3, 3]
    local = parameters.means @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = local.unbind(-1)
    low_x, high_x, low_y, high_y = model.tangent_limits(camera)
    tx, ty = (x / z).clamp(low_x, high_x), (y / z).clamp(low_y, high_y)
    zero = torch.zeros_like(z)
    rows = [torch.stack([1 / z, zero, -tx / z], -1), torch.stack([zero, 1 / z, -ty / z], -1)]
    jacobian = intrinsics[:, :2].diagonal()[:, None] * torch.stack(rows, dim=-2)
    axes = rotation_matrices(parameters.quaternions_wxyz) * parameters.log_scales.exp()[:, None, :]
    factor = jacobian @ pose[:3, :3] @ axes
    sharp = factor @ factor.transpose(-1, -2)
    covariances = sharp + model.LOW_PASS * torch.eye(2).to(like)
    opacities = parameters.opacity_logits.sigmoid()
    if compensate:  # Yu et al. 2024 (Mip-Splatting), eq. 9
        opacities = opacities * (sharp.det().clamp(min=0) / covariances.det()).sqrt()
    directions = torch.nn.functional.normalize(parameters.means - centre, dim=-1)
    basis = sh_basis(directions, degree)
    colors = (torch.einsum("nk,nkc->nc", basis, parameters.sh[:, : basis.shape[1]]) + 0.5).clamp(min=0)
    means = torch.stack([x / z, y / z], -1) * intrinsics[:, :2].diagonal() + intrinsics[:, 2]
    return Projection(means, covariances, z, opacities, colors)


@torch.no_grad()
def visible_rows(parameters: GaussianParameters, camera: Camera, degree: int, compensate: bool) -> Tensor:
    """Return [N] bool: finite, beyond the near plane, and alpha >= 1/255 possible at some pixel centre."""
    p = project(parameters, camera, degree, compensate)
    used = (*parameters.tensors()[:4], parameters.sh[:, : model.sh_rows(degree)], p.covariances)
    finite = torch.stack([tensor.isfinite()[:, None].flatten(1).all(1) for tensor in used]).all(0)
    extent = (2 * (p.opacities / model.ALPHA_MIN).log().clamp(min=0)).sqrt()
    half = extent[:, None] * p.covariances.diagonal(dim1=-2, dim2=-1).sqrt()
    last = torch.tensor([camera.width - 1, camera.height - 1], device=half.device)
    first_pixel = (p.means - half).ceil().clamp(min=0)
    last_pixel = torch.minimum((p.means + half).floor(), last)
    inside = (first_pixel <= last_pixel).all(-1) & (p.opacities >= model.ALPHA_MIN)
    return finite & inside & (p.depths > model.NEAR) & p.colors.isfinite().all(-1)


def alphas(p: Projection, pixels: Tensor) -> Tensor:
    """Return [P, N] alpha = min(0.99, o exp(-½ dᵀ Σ'⁻¹ d)) (3DGS eq. 4), zero below 1/255."""
    dx, dy = (pixels[:, None] - p.means).unbind(-1)
    inverse = p.covariances.inverse()
    xx, xy, yy = inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]
    mahalanobis = xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy
    alpha = (p.opacities * torch.exp(-0.5 * mahalanobis)).clamp(max=model.ALPHA_MAX)
    return torch.where(alpha >= model.ALPHA_MIN, alpha, 0)


def weights(alpha: Tensor) -> Tensor:
    """Return [P, N] w_i = α_i Π_{j<i} (1 - α_j) of alphas in depth order (3DGS eq. 3), stopped early."""
    after = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    return torch.where(after > model.TRANSMITTANCE_MIN, alpha * before, 0)


def _composite(p: Projection, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    weight = weights(alphas(p, pixels))
    return weight @ p.colors, weight @ p.depths, weight.sum(1), weight.sum(0)


def rasterize_reference(
    parameters: GaussianParameters,
    camera: Camera,
    background: Tensor,
    degree: int,
    compensate: bool,
    correction: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return color [H, W, 3], depth [H, W], alpha [H, W], visible [N] bool and contribution [N]."""
    visible = visible_rows(parameters, camera, degree, compensate)
    rows = visible.nonzero().flatten()
    p = project(parameters.select(rows), camera, degree, compensate, correction)
    order = p.depths.argsort(stable=True)
    p = Projection(*(tensor[order] for tensor in vars(p).values()))
    grid = torch.meshgrid(torch.arange(camera.width), torch.arange(camera.height), indexing="xy")
    pixels = torch.stack(grid, dim=-1).reshape(-1, 2).to(p.means)
    chunks = torch.split(pixels, max(1, PAIRS_AT_ONCE // max(1, len(rows))))
    parts = [checkpoint(_composite, p, chunk, use_reentrant=False) for chunk in chunks]
    color, depth, alpha = (torch.cat([part[i] for part in parts]) for i in range(3))
    color = color + (1 - alpha)[:, None] * background
    contribution = torch.zeros_like(parameters.opacity_logits)
    contribution = contribution.index_add(0, rows[order], torch.stack([part[3] for part in parts]).sum(0))
    shape = (camera.height, camera.width)
    return color.reshape(*shape, 3), depth.reshape(shape), alpha.reshape(shape), visible, contribution
