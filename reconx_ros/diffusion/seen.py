"""What real views show of generated frames: all of the views, not only those a frame was filmed from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.structure.conditioning import render_conditioning
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference

MOST = 24
"""Views that are warped into a frame, those that show most of it: a live map has hundreds."""

ANYTHING = 1e-9
"""Share of a view's points in a frame from which it may show some of it."""

OVERSCAN = 0.125
"""So that gaps at the border of a frame are closed as in its middle."""


def also_seen(frame: GeneratedFrame, views: Sequence[Reference], device: str = "cpu") -> GeneratedFrame:
    """Return the frame with what ``views`` show of it added to ``seen``.

    Args:
        frame: filmed from other views.
        views: any number; those that show nothing of the frame cost little.
        device: where they are warped.
    """
    near = [] if frame.seen.all() else showing(views, frame.camera, MOST, ANYTHING)
    return replace(frame, seen=frame.seen | shown(near, frame.camera, device)) if near else frame


def shown(views: Sequence[Reference], camera: Camera, device: str = "cpu") -> NDArray[np.bool_]:
    """Return which pixels [H, W] of ``camera`` show a surface whose depth one of ``views`` measured."""
    render = render_conditioning(
        views, [camera], overscan=OVERSCAN, guess=False, match=False, device=device
    )
    return np.asarray(render.crop(render.coverage.amax(2))[0, 0, 0].cpu().numpy() > 0)
