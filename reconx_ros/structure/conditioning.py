"""Conditioning renders: what the references and the cloud show along a path (step 2 of the paper).

The references are kept apart (``ConditioningRender``). The frames may be wider than the camera's image
(overscan): what lies just outside helps to fill what is inside, and no warp is cut at the border.
"""

import torch
from torch import Tensor

from reconx_ros.structure.conditioning_render import ConditioningRender, join
from reconx_ros.structure.warp import References, Warp, homographies, warp

__all__ = ["ConditioningRender", "join", "overscan_margin", "warp_references"]

CPU_SHARE, CUDA_SHARE = 4, 128
"""Warps made at once: more need memory (about 50 MB each at 320×240) without being faster."""


def overscan_margin(size: tuple[int, int], overscan: float) -> tuple[int, int]:
    """Return the rows and columns to add on each side, multiples of 4.

    Args:
        size: height, width of the camera's image.
        overscan: by what share the frame grows; 0.25 makes 256×192 into 320×240.
    """
    height, width = (4 * round(side * overscan / 8) for side in size)
    return height, width


def warp_references(
    color: Tensor,
    depth: Tensor,
    intrinsics: Tensor,
    world_from_camera: Tensor,
    target_intrinsics: Tensor,
    target_world_from_camera: Tensor,
    size: tuple[int, int],
    *,
    confidence: Tensor | None = None,
    overscan: float = 0.0,
) -> ConditioningRender:
    """Warp every reference of each clip into every camera of its clip. No gradients.

    Args:
        color: [B, R, 3, h, w] RGB in [0, 1].
        depth: [B, R, 1, h, w] along the optical axis; NaN or 0 where unknown.
        intrinsics: [B, R, 3, 3] of the references, pixel centres at integers.
        world_from_camera: [B, R, 4, 4].
        target_intrinsics: [B, F, 3, 3] for images of ``size``.
        target_world_from_camera: [B, F, 4, 4].
        size: height and width of the targets, without overscan.
        confidence: [B, R, 1, h, w] in [0, 1] of the depth; 1 where not given.
        overscan: by what share the frames grow (``overscan_margin``).

    Returns:
        Frames of ``size`` plus twice the margin, on the device of ``color``, colours as taken.
    """
    with torch.no_grad():
        (batch, count), frames = color.shape[:2], target_intrinsics.shape[1]
        margin = overscan_margin(size, overscan)
        full = (size[0] + 2 * margin[0], size[1] + 2 * margin[1])
        wider = target_intrinsics.clone()
        wider[..., :2, 2] += torch.tensor(margin[::-1], device=wider.device, dtype=wider.dtype)
        pairs = torch.arange(batch * frames * count, device=color.device)
        clip, frame = pairs // (frames * count), pairs // count % frames
        which = clip * count + pairs % count
        a, b = homographies(
            intrinsics.flatten(0, 1)[which],
            world_from_camera.flatten(0, 1)[which],
            wider[clip, frame],
            target_world_from_camera[clip, frame],
        )
        given = None if confidence is None else confidence.flatten(0, 1).float()
        references = References.of(color.flatten(0, 1).float(), depth.flatten(0, 1).float(), given)
        share = CUDA_SHARE if color.is_cuda else CPU_SHARE
        warps = [
            warp(references, *part, full)
            for part in zip(*(torch.split(each, share) for each in (which, a, b)), strict=True)
        ]
        return assembled(warps, (batch, frames, count), margin)


def assembled(
    warps: list[Warp], leading: tuple[int, int, int], margin: tuple[int, int]
) -> ConditioningRender:
    """Give the warps, in the order of ``leading`` = (B, F, R), their place in a render."""
    color, coverage, depth, confidence = (
        _leading(torch.cat(parts), leading)
        for parts in zip(
            *((each.color, each.coverage, each.depth, each.confidence) for each in warps), strict=True
        )
    )
    return ConditioningRender(color, coverage, depth, confidence, margin)


def _leading(image: Tensor, leading: tuple[int, int, int]) -> Tensor:
    return image.view(*leading, *image.shape[1:])
