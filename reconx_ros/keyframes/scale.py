"""The scale of a scene that is not in metres."""

from collections.abc import Sequence

import numpy as np

from reconx_ros.keyframes.keyframe import Keyframe


def scene_depth(keyframes: Sequence[Keyframe]) -> float:
    """Return the typical distance from a camera to what it sees, in world units.

    With depth: the median of the views' median depths. Without: the median distance from the
    cameras to the point nearest to all optical axes (linear least squares over the axes), which is
    where people point a camera. Where the axes do not meet before the cameras (straight motion),
    ten times the median step between consecutive views. 1 where nothing is known.

    Lengths in the configuration are metres for a scene of typical depth ``NOMINAL_DEPTH``; in a
    world that is not metric they are multiplied by ``scene_depth / NOMINAL_DEPTH``.
    """
    posed = [k for k in keyframes if k.posed]
    medians = [m for m in (_median_depth(k) for k in posed) if m > 0]
    if medians:
        return float(np.median(medians))
    if len(posed) < 2:
        return 1.0
    return _focus_distance(posed) or _typical_step(posed) or 1.0


def _median_depth(keyframe: Keyframe) -> float:
    known = keyframe.depth[keyframe.depth > 0] if keyframe.depth is not None else np.empty(0)
    return float(np.median(known)) if known.size else 0.0


def _focus_distance(keyframes: Sequence[Keyframe]) -> float:
    """Return the median distance to the point nearest to all optical axes; 0 where there is none."""
    centres = np.stack([k.camera.centre for k in keyframes])
    axes = np.stack([k.camera.world_from_camera[:3, 2] for k in keyframes])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.sum(axis=0)
    # The smallest eigenvalue is the sum of squared sines to the common direction: below about one
    # degree each, the axes are parallel for this purpose.
    if np.linalg.eigvalsh(normal)[0] < 3e-4 * len(keyframes):
        return 0.0
    focus = np.linalg.solve(normal, (across @ centres[:, :, None]).sum(axis=0))[:, 0]
    along = ((focus - centres) * axes).sum(axis=1)
    return float(np.median(along)) if np.median(along) > 0 else 0.0


def _typical_step(keyframes: Sequence[Keyframe]) -> float:
    centres = np.stack([k.camera.centre for k in keyframes])
    return 10 * float(np.median(np.linalg.norm(np.diff(centres, axis=0), axis=1)))
