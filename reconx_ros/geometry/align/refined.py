"""A room whose poses are refined before it is asked: RGB-D views registered with each other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reconx_ros.geometry.align.align import Alignment, align
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.graph import choose_pairs
from reconx_ros.geometry.align.priors import priors_of
from reconx_ros.geometry.align.registration import register_pairs
from reconx_ros.geometry.config import RgbdConfig
from reconx_ros.geometry.protocol import Geometry, GeometryEstimate
from reconx_ros.geometry.validate import check_keyframe
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.overlap import NOMINAL_DEPTH
from reconx_ros.keyframes.scale import scene_depth
from reconx_ros.progress import Progress

NEIGHBOURS = 4


class RefinedGeometry:
    """Brings the poses of RGB-D keyframes together, then asks the room behind it.

    Poses known are priors with their covariance; views without pose are placed by those that see the
    same. Views that are not asked for (``only``) stay where they are.
    """

    def __init__(
        self, room: Geometry, sensor: RgbdConfig, alignment: AlignmentConfig, metric: bool = True
    ) -> None:
        """Put the refinement before ``room``.

        Args:
            room: makes the pointmaps.
            sensor: the depth camera.
            alignment: what is known beforehand, and how far the search goes.
            metric: whether poses and depth are in metres.
        """
        self.name = room.name
        self._room, self._sensor, self._alignment, self._metric = room, sensor, alignment, metric

    def estimate(
        self, keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        """Estimate a pointmap for each keyframe (``Geometry.estimate``), with refined cameras.

        Raises:
            GeometryError: as the room behind raises; a pose covariance is not one.
        """
        for keyframe in keyframes:
            check_keyframe(keyframe)
        return self._room.estimate(self._refined(keyframes, only), progress, only)

    def _refined(self, keyframes: Sequence[Keyframe], only: Sequence[int] | None) -> list[Keyframe]:
        wanted = None if only is None else set(only)
        ends = choose_pairs(keyframes, NEIGHBOURS, self._metric, wanted)
        pairs = register_pairs(keyframes, ends, self._sensor)
        if not pairs or not any(keyframe.posed for keyframe in keyframes):
            return list(keyframes)
        held = [n for n, k in enumerate(keyframes) if k.posed and wanted is not None and n not in wanted]
        scale = 1.0 if self._metric else scene_depth(keyframes) / NOMINAL_DEPTH
        priors = priors_of(keyframes, self._alignment, scale, held)
        found = align(pairs, [k.camera for k in keyframes], priors, self._alignment)
        return [refined(keyframe, number, found) for number, keyframe in enumerate(keyframes)]


def refined(keyframe: Keyframe, index: int, alignment: Alignment) -> Keyframe:
    """Return view ``index`` with the camera that was found, and how well it is known."""
    if not alignment.aligned[index]:
        return keyframe
    covariance = alignment.covariance[index]
    held = bool(np.isnan(covariance).any())
    return replace(
        keyframe,
        camera=alignment.cameras[index],
        posed=True,
        pose_covariance=keyframe.pose_covariance if held else covariance,
    )
