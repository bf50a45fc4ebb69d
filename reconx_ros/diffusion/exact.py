"""Frames filmed from where a real view was taken are that view."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.reliability import MOST
from reconx_ros.structure.reference import Reference


def exact(frame: GeneratedFrame, references: Sequence[Reference]) -> GeneratedFrame:
    """Return the frame, with the image of the reference that was taken from its camera, if there is one."""
    for reference in references:
        if _same(reference.camera, frame.camera):
            size = (frame.camera.height, frame.camera.width)
            return replace(
                frame,
                image=reference.resized(*size).image,
                confidence=np.full(size, MOST, np.float32),
                seen=np.ones(size, np.bool_),
            )
    return frame


def _same(taken: Camera, filmed: Camera) -> bool:
    resized = taken.resized(filmed.width, filmed.height)
    poses = np.array_equal(taken.world_from_camera, filmed.world_from_camera)
    return poses and np.allclose(resized.intrinsics, filmed.intrinsics)
