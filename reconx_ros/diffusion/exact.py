"""Frames from where a real view was taken are that view: they are not filmed."""

from collections.abc import Sequence

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.reliability import MOST
from reconx_ros.structure.reference import Reference

SAME_PLACE, SAME_PIXEL = 1e-9, 1e-6
"""World units, and pixels, that rounding may put between two cameras of one view."""


def taken(camera: Camera, references: Sequence[Reference]) -> GeneratedFrame | None:
    """Return the reference that was taken from ``camera``, as a frame of its size, if there is one.

    Nothing of it is left to learn: all of it is seen, and its depth is what was measured.
    """
    size = (camera.height, camera.width)
    for reference in references:
        if same_view(reference.camera, camera):
            real = reference.resized(*size)
            return GeneratedFrame(
                image=real.image,
                confidence=np.full(size, MOST, np.float32),
                depth=real.depth,
                seen=np.ones(size, np.bool_),
                camera=camera,
            )
    return None


def same_view(real: Camera, filmed: Camera) -> bool:
    """Tell whether ``filmed`` is ``real`` at another size, up to rounding."""
    resized = real.resized(filmed.width, filmed.height)
    poses = np.allclose(real.world_from_camera, filmed.world_from_camera, rtol=0, atol=SAME_PLACE)
    return poses and np.allclose(resized.intrinsics, filmed.intrinsics, rtol=SAME_PIXEL, atol=SAME_PIXEL)
