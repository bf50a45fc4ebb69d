"""What the small model sees: sources to blend, planes that describe them, and where things are."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from reconx_ros.structure.composite import composite
from reconx_ros.structure.conditioning_render import ConditioningRender
from reconx_ros.structure.exposure import Exposure
from reconx_ros.structure.fills import push_pull
from reconx_ros.structure.point_frame import normalised_from_world, transform
from reconx_ros.structure.uncertainty import uncertainty_map

PLANES_PER_REFERENCE, PLANES_ALONE = 7, 5
FURTHEST = 4.0
"""Inverse depths are given up to this multiple of their median."""


@dataclass(frozen=True, eq=False)
class Observation:
    """B clips of F frames seen by R references; H, W with the margins of overscan.

    Attributes:
        base: [B, F, 3, H, W] push-pull fill of the references' composite at their middle exposure.
        matched: [B, F, R, 3, H, W] each reference at the middle exposure, laid over ``base``.
        taken: [B, F, R, 3, H, W] each as it was taken, laid over ``base``.
        planes: [B, F, 7 R + 5, H, W] input of the network.
        uncertainty: [B, F, 1, H, W] (``structure.uncertainty``).
        distance: [B, F, 1, H, W] along the optical axis, guessed where unknown.
        points: [B, F, 3, H, W] where each pixel probably lies, in the normalised frame.
        reference_planes: [B, R, 5, h, w] colour, inverse depth, and whether that is known.
        reference_points: [B, R, 3, h, w] in the normalised frame.
        frame: [B, 4, 4] float64 normalised from world (``structure.point_frame``).
        margin: rows and columns of overscan on each side.
    """

    base: Tensor
    matched: Tensor
    taken: Tensor
    planes: Tensor
    uncertainty: Tensor
    distance: Tensor
    points: Tensor
    reference_planes: Tensor
    reference_points: Tensor
    frame: Tensor
    margin: tuple[int, int]


def middle_exposure(exposure: Exposure) -> Exposure:
    """Return the change of each reference to the mean of all references' exposures.

    With x → g_r x + b_r bringing reference r to a common exposure, the mean of all ways back is
    m(x) = x mean(1/g) − mean(b/g), and the answer is m(g_r x + b_r).
    """
    slope = (1 / exposure.gain).mean(1, keepdim=True)
    lift = (exposure.bias / exposure.gain).mean(1, keepdim=True)
    return Exposure(exposure.gain * slope, exposure.bias * slope - lift, exposure.matched)


def observe(
    render: ConditioningRender,
    bright: ConditioningRender,
    reference_color: Tensor,
    reference_depth: Tensor,
    intrinsics: Tensor,
    reference_pose: Tensor,
    target_pose: Tensor,
) -> Observation:
    """Make the observation of B clips. No gradients.

    Args:
        render: colours as taken.
        bright: the same at the references' middle exposure.
        reference_color: [B, R, 3, h, w] in [0, 1].
        reference_depth: [B, R, 1, h, w], 0 where unknown.
        intrinsics: [B, 3, 3] of all images, without margin.
        reference_pose: [B, R, 4, 4] world_from_camera.
        target_pose: [B, F, 4, 4].
    """
    with torch.no_grad():
        known = reference_depth > 0
        scale = _scale(reference_depth, known)
        inverse = torch.where(bright.depth > 0, 1 / bright.depth.clamp(min=1e-6), 0.0)
        base, guess = _filled(bright, inverse, scale)
        uncertainty = uncertainty_map(bright.coverage.amax(2), bright.confidence.amax(2))
        matched, taken = (
            torch.where(bright.shown > 0, each.color, base[:, :, None]) for each in (bright, render)
        )
        ahead = (inverse * scale[:, :, None, None] - guess[:, :, None]) * bright.shown
        distance = scale[:, :, None] / guess.clamp(min=0.05)
        wide = _widened(intrinsics, render.margin)[:, None].expand(-1, target_pose.shape[1], -1, -1)
        reference_points, frame = _reference_points(
            reference_depth, known, scale, intrinsics, reference_pose
        )
        return Observation(
            base=base,
            matched=matched,
            taken=taken,
            planes=_planes(bright, base, matched, ahead, uncertainty, guess),
            uncertainty=uncertainty,
            distance=distance,
            points=_placed(distance, wide, target_pose, frame),
            reference_planes=_reference_planes(reference_color, reference_depth, known, scale),
            reference_points=reference_points,
            frame=frame,
            margin=render.margin,
        )


def _filled(bright: ConditioningRender, inverse: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return colour [B, F, 3, H, W] and inverse depth [B, F, 1, H, W] in 1/scale, both filled together."""
    image, mask = composite(bright)
    near = (inverse.amax(2) * scale[:, :, None]).clamp(max=FURTHEST)
    joint = push_pull(torch.cat([image, near], 2).flatten(0, 1), mask.flatten(0, 1))
    base, guess = torch.split(joint.view(*image.shape[:2], 4, *image.shape[-2:]), [3, 1], 2)
    return base, guess


def _planes(
    bright: ConditioningRender,
    base: Tensor,
    matched: Tensor,
    ahead: Tensor,
    uncertainty: Tensor,
    guess: Tensor,
) -> Tensor:
    """Return the input of the network: seven planes of each reference, then five of the frame."""
    offset = 4 * (matched - base[:, :, None])
    each = torch.cat([offset, bright.coverage, bright.guessed, ahead, bright.confidence], 3)
    return torch.cat([each.flatten(2, 3), 2 * base - 1, uncertainty, guess], 2)


def _reference_planes(color: Tensor, depth: Tensor, known: Tensor, scale: Tensor) -> Tensor:
    """Return colour, inverse depth and whether that is known of each reference, [B, R, 5, h, w]."""
    near = torch.where(known, scale[:, :, None] / depth.clamp(min=1e-6), 0.0)
    return torch.cat([2 * color - 1, near.clamp(max=FURTHEST), known.float()], 2)


def _scale(depth: Tensor, known: Tensor) -> Tensor:
    """Return the median known depth of each clip, [B, 1, 1, 1], 1 where none is known."""
    values = torch.where(known, depth, torch.nan).flatten(1)
    return values.nanmedian(1).values.nan_to_num(1.0).view(-1, 1, 1, 1)


def _widened(intrinsics: Tensor, margin: tuple[int, int]) -> Tensor:
    wide: Tensor = intrinsics.clone()
    wide[..., :2, 2] += torch.tensor(margin[::-1], device=wide.device, dtype=wide.dtype)
    return wide


def _reference_points(
    depth: Tensor, known: Tensor, scale: Tensor, intrinsics: Tensor, poses: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the references' normalised points [B, R, 3, h, w] and the frame they are in."""
    count = depth.shape[1]
    k = intrinsics[:, None].expand(-1, count, -1, -1)
    far = torch.where(known, depth, scale[:, :, None])
    identity = torch.eye(4, dtype=torch.float64, device=depth.device).expand(len(depth), 4, 4)
    world = _placed(far, k, poses, identity)
    few, valid = world[..., ::4, ::4], known[..., ::4, ::4]
    listed = few.movedim(2, -1).flatten(1, 3)
    frame = normalised_from_world(listed, valid.flatten(1), poses[:, 0])
    flat = transform(frame, world.movedim(2, -1).flatten(1, 3).double()).float()
    return flat.view(*world.shape[:2], *world.shape[-2:], 3).movedim(-1, 2), frame


def _placed(depth: Tensor, intrinsics: Tensor, poses: Tensor, frame: Tensor) -> Tensor:
    """Unproject depths [B, N, 1, H, W] to points [B, N, 3, H, W] in ``frame`` [B, 4, 4] from world."""
    height, width = depth.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=depth.device), torch.arange(width, device=depth.device), indexing="ij"
    )
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).double().flatten(1)
    matrix = frame[:, None].double() @ poses.double()
    rays = (matrix[..., :3, :3] @ torch.linalg.inv(intrinsics.double())).float() @ pixels.float()
    placed: Tensor = rays * depth.flatten(3) + matrix[..., :3, 3:].float()
    return placed.view(*depth.shape[:2], 3, height, width)


def shrunk(image: Tensor, like: Tensor) -> Tensor:
    """Return [B, N, C, H, W] averaged down to the height and width of ``like``, as [B·N, C, h, w]."""
    return interpolate(image.flatten(0, 1), size=like.shape[-2:], mode="area")
