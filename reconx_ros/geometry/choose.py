"""Which geometry room serves these keyframes."""

from collections.abc import Callable, Sequence

from reconx_ros.errors import GeometryError
from reconx_ros.geometry.config import GeometryConfig
from reconx_ros.geometry.protocol import Geometry
from reconx_ros.keyframes.keyframe import Keyframe


def _rgbd(config: GeometryConfig, metric: bool) -> Geometry:
    from reconx_ros.geometry.rgbd import RgbdGeometry  # noqa: PLC0415 - numba loads with the room in use

    return RgbdGeometry(config.rgbd, metric)


ROOMS: dict[str, Callable[[GeometryConfig, bool], Geometry]] = {
    "rgbd": _rgbd,
}
"""Every geometry room by the name of its method."""


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
    depth = sum(keyframe.depth is not None for keyframe in keyframes)
    posed = sum(keyframe.posed for keyframe in keyframes)
    raise GeometryError(
        f"of {len(keyframes)} keyframes {posed} have a pose and {depth} have depth; this version needs "
        "keyframes with both (a depth topic or depth images, and TF, odometry or known poses)"
    )


def choose_geometry(config: GeometryConfig, keyframes: Sequence[Keyframe], metric: bool = True) -> Geometry:
    """Return the room for ``keyframes`` (see ``choose_method``).

    Args:
        config: settings of all rooms.
        keyframes: the views the room will be asked about.
        metric: whether their poses are in metres.

    Raises:
        GeometryError: 'auto' finds no room that can use these keyframes.
    """
    method, _ = choose_method(config, keyframes)
    return ROOMS[method](config, metric)
