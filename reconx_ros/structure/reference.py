"""A posed RGB-D image that conditioning renders are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointMap, map_confidence
from reconx_ros.keyframes.keyframe import Keyframe

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reference:
    """A view with depth.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        depth: [H, W] float32 along the optical axis, NaN where unknown.
        confidence: [H, W] float32 in [0, 1] of the depth.
        camera: of both.
    """

    image: NDArray[np.uint8]
    depth: Floats
    confidence: Floats
    camera: Camera

    @classmethod
    def of_keyframe(cls, keyframe: Keyframe) -> "Reference":
        """Take the depth the camera measured, with confidence 1.

        Raises:
            SynthesisError: the keyframe has no depth or no pose.
        """
        if keyframe.depth is None or not keyframe.posed:
            lacks = "depth" if keyframe.depth is None else "pose"
            raise SynthesisError(f"keyframe {keyframe.name} has no {lacks}: it cannot be a reference")
        return cls(keyframe.image, keyframe.depth, np.ones_like(keyframe.depth), keyframe.camera)

    @classmethod
    def of_pointmap(cls, keyframe: Keyframe, pointmap: PointMap) -> "Reference":
        """Take the depth from what the geometry room estimated, with its confidence c = 1 − 1/C."""
        _, depth = keyframe.camera.project(pointmap.points.astype(np.float64))
        known = np.where(depth > 0, depth, np.nan).astype(np.float32)
        return cls(keyframe.image, known, map_confidence(pointmap.confidence), keyframe.camera)

    @classmethod
    def of_depth(cls, camera: Camera, depth: Floats) -> "Reference":
        """Take a view of which only the depth matters; its image is black."""
        return cls(np.zeros((*depth.shape, 3), np.uint8), depth, np.ones_like(depth), camera)

    def resized(self, height: int, width: int) -> "Reference":
        """Resample: colour by area, depth and confidence by the nearest pixel (edges stay edges)."""
        if self.depth.shape == (height, width):
            return self
        shrinks = width < self.camera.width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        depth, confidence = (
            cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
            for image in (self.depth, self.confidence)
        )
        image = cv2.resize(self.image, (width, height), interpolation=method)
        return Reference(image, depth, confidence, self.camera.resized(width, height))


@dataclass(frozen=True, eq=False)
class ReferenceBatch:
    """The references of one clip as ``warp_references`` takes them, B = 1."""

    color: Tensor
    depth: Tensor
    confidence: Tensor
    intrinsics: Tensor
    world_from_camera: Tensor


def batch(references: Sequence[Reference], size: tuple[int, int], device: str = "cpu") -> ReferenceBatch:
    """Resample references to ``size`` (height, width) and stack them, [1, R, ...]."""
    same = [reference.resized(*size) for reference in references]
    color = np.stack([each.image.transpose(2, 0, 1) for each in same]).astype(np.float32) / 255
    depth, confidence = (
        np.stack([image[None] for image in images])
        for images in zip(*((each.depth, each.confidence) for each in same), strict=True)
    )
    intrinsics, poses = camera_tensors([each.camera for each in same])
    tensors = (torch.from_numpy(color), torch.from_numpy(depth), torch.from_numpy(confidence))
    color_, depth_, confidence_ = (tensor[None].float().to(device) for tensor in tensors)
    return ReferenceBatch(color_, depth_, confidence_, intrinsics.to(device), poses.to(device))


def camera_tensors(cameras: Sequence[Camera]) -> tuple[Tensor, Tensor]:
    """Return intrinsics [1, F, 3, 3] and world_from_camera [1, F, 4, 4], float64."""
    intrinsics = np.stack([camera.intrinsics for camera in cameras])[None]
    poses = np.stack([camera.world_from_camera for camera in cameras])[None]
    return torch.from_numpy(intrinsics).double(), torch.from_numpy(poses).double()
