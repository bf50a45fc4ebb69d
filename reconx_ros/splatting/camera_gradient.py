"""How the loss of a frame changes with its camera: the chain from the projected Gaussians to the pose.

The kernels leave the gradients of the projected Gaussians (``Frame.slot_sums``); the projection itself is
that of the reference, whose autograd does the rest for the Gaussians in view.
"""

import math

import torch
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting.cpu.splats import SHARPNESS
from reconx_ros.splatting.cpu.step import Frame
from reconx_ros.splatting.parameters import GaussianParameters
from reconx_ros.splatting.reference import Projection, project

LN2 = math.log(2)


def camera_gradient(frame: Frame, parameters: GaussianParameters, camera: Camera, degree: int) -> Tensor:
    """Return the gradient [8] by a correction of the camera (``reference.corrected``), at none.

    Args:
        frame: drawn without compensation; its image has its gradient, and it has not stepped.
        parameters: what it was drawn from.
        camera: likewise.
        degree: of the harmonics it was drawn with.
    """
    sums = frame.slot_sums()
    rows = sums.any(dim=1).nonzero().flatten()
    correction = torch.zeros(8, requires_grad=True)
    drawn = GaussianParameters(*(tensor.detach()[rows] for tensor in parameters.tensors()))
    with torch.enable_grad():
        p = project(drawn, camera, degree, False, correction)
        pairs = zip(
            (p.means, p.covariances, p.depths, p.colors), _by_projection(p, sums[rows]), strict=True
        )
        total = torch.stack([(output * by).sum() for output, by in pairs]).sum()
        (gradient,) = torch.autograd.grad(total, correction)
    return gradient


@torch.no_grad()
def _by_projection(p: Projection, sums: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of means, covariances, depths and colours (see ``cpu.shape_backward``)."""
    q_u, q_uu, q_uv, q_v, q_vv = (sums[:, 5:] * LN2).unbind(1)
    xx, xy, yy = p.covariances[:, 0, 0], p.covariances[:, 0, 1], p.covariances[:, 1, 1]
    det = (xx * yy - xy * xy).clamp(min=1e-12)
    slope, by_slope = xy / yy, 2 * q_uv / det.sqrt()
    by_xx = q_uu * yy / det
    by_xy = by_slope - 2 * slope * by_xx
    by_yy = q_vv / yy - slope * by_slope + slope.square() * by_xx
    by_x = 2 * float(SHARPNESS) * (yy / det).sqrt() * q_u
    by_y = 2 * float(SHARPNESS) / yy.sqrt() * q_v - slope * by_x
    by_covariances = torch.stack([by_xx, by_xy, torch.zeros_like(by_xy), by_yy], dim=1).view(-1, 2, 2)
    return torch.stack([by_x, by_y], dim=1), by_covariances, sums[:, 3], sums[:, :3]
