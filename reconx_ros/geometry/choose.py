"""Which geometry room serves these keyframes."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.geometry.protocol import Geometry
from reconx_ros.keyframes.keyframe import Keyframe

_log = logging.getLogger(__name__)


def _rgbd(config: GeometryConfig, metric: bool) -> Geometry:
    from reconx_ros.geometry.rgbd import RgbdGeometry  # noqa: PLC0415 - numba loads with the room in use

    room = RgbdGeometry(config.rgbd, metric)
    if not config.alignment.refine_rgbd:
        return room
    from reconx_ros.geometry.align.refined import RefinedGeometry  # noqa: PLC0415 - torch, open3d

    return RefinedGeometry(room, config.rgbd, config.alignment, metric)


def _plane_sweep(config: GeometryConfig, metric: bool) -> Geometry:
    from reconx_ros.geometry.stereo.room import PlaneSweepGeometry  # noqa: PLC0415 - as above

    return PlaneSweepGeometry(config.plane_sweep, metric)


def _sparse(config: GeometryConfig, metric: bool) -> Geometry:
    from reconx_ros.geometry.sparse.room import SparseGeometry  # noqa: PLC0415 - as above

    return SparseGeometry(config.sparse, metric)


def _dust3r(config: GeometryConfig, metric: bool) -> Geometry:
    from reconx_ros.geometry.dust3r.room import Dust3rGeometry  # noqa: PLC0415 - torch loads with it

    return Dust3rGeometry(config.dust3r, config.alignment, metric)


ROOMS: dict[str, Callable[[GeometryConfig, bool], Geometry]] = {
    "rgbd": _rgbd,
    "plane-sweep": _plane_sweep,
    "sparse": _sparse,
    "dust3r": _dust3r,
}
"""Every geometry room by the name of its method."""


FROM_NEIGHBOURS = ("plane-sweep", "sparse", "dust3r")
"""Methods that learn a view's depth from other views: the first view of a live map has to wait."""

MEASURING = ("auto", "rgbd")
"""Methods that use measured depth."""

SELF_POSED = ("dust3r",)
"""Methods that find the cameras themselves."""


def finds_cameras(config: GeometryConfig, keyframes: Sequence[Keyframe]) -> bool:
    """Return whether the room for ``keyframes``, none of which has a pose, finds their cameras itself.

    'auto' leaves them to DUSt3R where its weights are given, unless a keyframe has depth: once structure
    from motion has found the cameras, depth gives the world its metres.
    """
    if config.method != "auto":
        return config.method in SELF_POSED
    return config.dust3r.weights is not None and all(keyframe.depth is None for keyframe in keyframes)


def choose_method(config: GeometryConfig, keyframes: Sequence[Keyframe]) -> tuple[str, str]:
    """Return the name of the room for ``keyframes``, and why in a few words.

    Raises:
        GeometryError: 'auto' finds no room that can use these keyframes.
    """
    if config.method != "auto":
        return config.method, "as configured"
    usable = sum(keyframe.posed and keyframe.depth is not None for keyframe in keyframes)
    if usable:
        return "rgbd", f"{usable} of {len(keyframes)} keyframes have depth and a pose"
    if config.dust3r.weights is not None:
        return "dust3r", f"no keyframe has depth and a pose, and weights are given: {config.dust3r.weights}"
    posed = sum(keyframe.posed for keyframe in keyframes)
    if posed:
        return "plane-sweep", f"{posed} of {len(keyframes)} keyframes have a pose, none has depth too"
    depth = sum(keyframe.depth is not None for keyframe in keyframes)
    raise GeometryError(
        f"none of {len(keyframes)} keyframes has a pose ({depth} have depth); TF, odometry or known poses "
        "are needed (or geometry.dust3r.weights, which do without)"
    )


def choose_geometry(config: GeometryConfig, keyframes: Sequence[Keyframe], metric: bool = True) -> Geometry:
    """Return the room for ``keyframes`` (see ``choose_method``); why it is that one goes to the log.

    Args:
        config: settings of all rooms.
        keyframes: the views the room will be asked about.
        metric: whether their poses are in metres.

    Raises:
        GeometryError: 'auto' finds no room that can use these keyframes.
    """
    method, reason = choose_method(config, keyframes)
    _log.info("geometry is %s: %s", method, reason)
    return ROOMS[method](config, metric)


def without_unused_depth(config: GeometryConfig, frames: Iterable[Keyframe]) -> Iterator[Keyframe]:
    """Yield ``frames`` as the configured room may see them: without depth where it works from colour."""
    for frame in frames:
        yield frame if config.method in MEASURING else replace(frame, depth=None)
