"""What the model is given of an example: the observation, the cloud, the truth with noise."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.clouds import Points
from reconx_ros.diffusion.small.observation import Observation, middle_exposure, observe
from reconx_ros.diffusion.small.sampling import noised
from reconx_ros.diffusion.training.records import Example

POINT_STRIDE = 3


def observation_of(example: Example) -> Observation:
    """Return what the model sees of an example."""
    return observe(
        example.render,
        example.render.exposed(middle_exposure(example.exposure)),
        example.reference_color,
        example.reference_depth,
        example.intrinsics,
        example.reference_pose,
        example.target_pose,
    )


def points_of(example: Example) -> Points:
    """Return the references' points, every third row and column, as the clips' clouds."""
    few = (..., slice(None, None, POINT_STRIDE), slice(None, None, POINT_STRIDE))
    depth, color = example.reference_depth[few], example.reference_color[few]
    rows, columns = torch.meshgrid(
        *(torch.arange(side, device=depth.device) * POINT_STRIDE for side in depth.shape[-2:]),
        indexing="ij",
    )
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).double().flatten(1)
    rays = torch.linalg.inv(example.intrinsics)[:, None] @ pixels
    local = rays * depth.flatten(3)[:, :, 0, None].double()
    world = example.reference_pose[..., :3, :3] @ local + example.reference_pose[..., :3, 3:]
    known = (depth > 0).flatten(1)
    return Points(
        world.transpose(2, 3).flatten(1, 2).float(),
        color.flatten(3).transpose(2, 3).flatten(1, 2),
        known.float(),
        known,
    )


def disturbed(seen: Observation, truth: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return noisy residuals [B, F, 3, H, W] of the truth [B, F, 3, h, w] and their times [B]."""
    time = torch.rand(len(truth), generator=generator).to(truth)
    rows, columns = seen.margin
    residual = pad(truth - cropped(seen.base, seen.margin), (columns, columns, rows, rows))
    noise = torch.randn(residual.shape, generator=generator).to(truth)
    return noised(residual, seen.uncertainty, noise, time), time
