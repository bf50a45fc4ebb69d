"""Conditioning renders: what the references and the cloud show along a path (step 2 of the paper).

The references are kept apart (``ConditioningRender``). The frames may be wider than the camera's image
(overscan): what lies just outside helps to fill what is inside, and no warp is cut at the border.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.structure.cloud_warp import CloudBatch, warp_cloud
from reconx_ros.structure.conditioning_render import ConditioningRender, join
from reconx_ros.structure.exposure import Exposure, estimate_exposure
from reconx_ros.structure.reference import Reference, batch, camera_tensors
from reconx_ros.structure.sampling import References
from reconx_ros.structure.warp import Warp, homographies, warp

__all__ = [
    "CloudBatch",
    "ConditioningRender",
    "Exposure",
    "Reference",
    "estimate_exposure",
    "join",
    "overscan_margin",
    "render_cloud",
    "render_conditioning",
    "warp_references",
]

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


def widened(intrinsics: Tensor, margin: tuple[int, int]) -> Tensor:
    """Return intrinsics [..., 3, 3] of images with ``margin`` rows and columns more on each side."""
    wider = intrinsics.clone()
    wider[..., :2, 2] += torch.tensor(margin[::-1], device=wider.device, dtype=wider.dtype)
    return wider


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
    guess: bool = False,
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
        guess: show pixels without depth too, where their surroundings' depth would put them.

    Returns:
        Frames of ``size`` plus twice the margin, on the device of ``color``, colours as taken.
    """
    with torch.no_grad():
        (clips, count), frames = color.shape[:2], target_intrinsics.shape[1]
        margin = overscan_margin(size, overscan)
        full = (size[0] + 2 * margin[0], size[1] + 2 * margin[1])
        wider = widened(target_intrinsics, margin)
        pairs = torch.arange(clips * frames * count, device=color.device)
        clip, frame = pairs // (frames * count), pairs // count % frames
        which = clip * count + pairs % count
        a, b = homographies(
            intrinsics.flatten(0, 1)[which],
            world_from_camera.flatten(0, 1)[which],
            wider[clip, frame],
            target_world_from_camera[clip, frame],
        )
        given = None if confidence is None else confidence.flatten(0, 1).float()
        references = References.of(color.flatten(0, 1).float(), depth.flatten(0, 1).float(), given, guess)
        share = CUDA_SHARE if color.is_cuda else CPU_SHARE
        parts = zip(*(torch.split(each, share) for each in (which, a, b)), strict=True)
        warps = [warp(references, which, a, b, full) for which, a, b in parts]
        return assembled(warps, (clips, frames, count), margin)


def assembled(
    warps: list[Warp], leading: tuple[int, int, int], margin: tuple[int, int]
) -> ConditioningRender:
    """Give the warps, in the order of ``leading`` = (B, F, R), their place in a render."""
    layers = zip(
        *((each.color, each.coverage, each.depth, each.confidence, each.guessed) for each in warps),
        strict=True,
    )
    color, coverage, depth, confidence, guessed = (_leading(torch.cat(parts), leading) for parts in layers)
    return ConditioningRender(color, coverage, depth, confidence, guessed, margin)


def _leading(image: Tensor, leading: tuple[int, int, int]) -> Tensor:
    return image.view(*leading, *image.shape[1:])


def render_cloud(
    clouds: CloudBatch,
    target_intrinsics: Tensor,
    target_world_from_camera: Tensor,
    size: tuple[int, int],
    *,
    overscan: float = 0.0,
) -> ConditioningRender:
    """Draw each clip's cloud into its cameras, as a render with R = 1. No gradients.

    Args:
        clouds: B of them.
        target_intrinsics: [B, F, 3, 3] for images of ``size``.
        target_world_from_camera: [B, F, 4, 4].
        size: height and width of the targets, without overscan.
        overscan: by what share the frames grow (``overscan_margin``).
    """
    with torch.no_grad():
        clips, frames = target_intrinsics.shape[:2]
        margin = overscan_margin(size, overscan)
        full = (size[0] + 2 * margin[0], size[1] + 2 * margin[1])
        intrinsics = widened(target_intrinsics, margin).flatten(0, 1)
        poses = target_world_from_camera.flatten(0, 1)
        which = torch.arange(clips * frames, device=poses.device) // frames
        share = CUDA_SHARE if poses.is_cuda else CPU_SHARE
        parts = zip(*(torch.split(each, share) for each in (which, intrinsics, poses)), strict=True)
        warps = [warp_cloud(clouds, clip, k, pose, full) for clip, k, pose in parts]
        return assembled(warps, (clips, frames, 1), margin)


def render_conditioning(
    references: Sequence[Reference],
    cameras: Sequence[Camera],
    cloud: PointCloud | None = None,
    *,
    overscan: float = 0.25,
    guess: bool = True,
    match: bool = True,
    device: str = "cpu",
) -> ConditioningRender:
    """Render what the references, and the cloud as one more, show along a path; B = 1.

    Args:
        references: R ≥ 1 of them, usually the keyframes before and after; resampled to the size of
            the cameras.
        cameras: F ≥ 1 of one size.
        cloud: drawn as the last reference where given and not empty.
        overscan: by what share the frames grow (``overscan_margin``).
        guess: show pixels without depth too, where their surroundings' depth would put them.
        match: bring all references to the exposure of the first (``exposure.py``).
        device: where to render.

    Raises:
        SynthesisError: no reference, no camera, or cameras of different sizes.
    """
    size = _common_size(references, cameras)
    given = batch(references, size, device)
    intrinsics, poses = (tensor.to(device) for tensor in camera_tensors(cameras))
    render = warp_references(
        given.color, given.depth, given.intrinsics, given.world_from_camera,
        intrinsics, poses, size, confidence=given.confidence, overscan=overscan, guess=guess,
    )  # fmt: skip
    if cloud is not None and len(cloud):
        drawn = render_cloud(CloudBatch.of(cloud, device), intrinsics, poses, size, overscan=overscan)
        render = join([render, drawn])
    return render.exposed(estimate_exposure(render)) if match else render


def _common_size(references: Sequence[Reference], cameras: Sequence[Camera]) -> tuple[int, int]:
    sizes = {(camera.height, camera.width) for camera in cameras}
    if not references or len(sizes) != 1:
        raise SynthesisError(
            f"{len(references)} references and cameras of {len(sizes)} sizes: "
            "at least one reference is needed, and cameras of one size"
        )
    return sizes.pop()
