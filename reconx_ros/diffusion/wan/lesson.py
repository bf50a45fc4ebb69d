"""A training clip as filming would be given it, and the frames it should have come to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from reconx_ros.camera import Camera
from reconx_ros.diffusion.training.records import Record
from reconx_ros.diffusion.trust import cloud_of
from reconx_ros.diffusion.wan.clips import film_size
from reconx_ros.diffusion.wan.conditions import Conditions, conditions
from reconx_ros.diffusion.wan.restore import matched
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.structure.reference import Reference


@dataclass(frozen=True, eq=False)
class Lesson:
    """F frames to learn from.

    Attributes:
        given: what the model is shown of them.
        images: whole reference images.
        cloud: the structure condition: what the references measured.
        first: camera of the first reference, in whose frame the cloud is encoded.
        truth: [F, 3, H, W] in [0, 1], at the exposure of ``given``.
    """

    given: Conditions
    images: list[Image.Image]
    cloud: PointCloud
    first: Camera
    truth: Tensor


def lesson(clip: Record, images: int, device: str = "cpu") -> Lesson:
    """Render the references of a clip into its targets, by the same call as filming does.

    Args:
        clip: F = 4k + 1 targets; of sides that are no multiples of 16 the nearest such size is taken.
        images: most whole images.
        device: where to render.
    """
    references, targets = _references(clip), _cameras(clip, clip["target_pose"])
    width, height = film_size(targets[0], targets[0].width * targets[0].height)
    cloud = cloud_of(references)
    given = conditions(references, [each.resized(width, height) for each in targets], cloud, device)
    truth = interpolate(clip["truth"].float() / 255, (height, width), mode="bilinear", antialias=True)
    whole = references[: min(images, given.latents)]  # diffusers takes no more
    return Lesson(
        given,
        [Image.fromarray(each.resized(height, width).image) for each in whole],
        cloud,
        references[0].camera,
        matched(truth, given.image, given.known),
    )


def _references(clip: Record) -> list[Reference]:
    color = clip["reference_color"].permute(0, 2, 3, 1).numpy()
    depth = clip["reference_depth"][:, 0].float().numpy()
    known = np.where(depth > 0, depth, np.nan).astype(np.float32)
    cameras = _cameras(clip, clip["reference_pose"])
    parts = zip(color, known, cameras, strict=True)
    return [Reference(np.ascontiguousarray(c), d, np.ones_like(d), camera) for c, d, camera in parts]


def _cameras(clip: Mapping[str, Tensor], poses: Tensor) -> list[Camera]:
    height, width = clip["truth"].shape[-2:]
    return [Camera(clip["intrinsics"].numpy(), pose.numpy(), width, height) for pose in poses]
