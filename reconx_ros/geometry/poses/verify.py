"""Matches of two photos that one rigid scene explains."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reconx_ros.geometry.colmap import HALF_PIXEL
from reconx_ros.geometry.sparse.features import Features
from reconx_ros.geometry.sparse.matching import Matches

if TYPE_CHECKING:
    import pycolmap

MAX_ERROR = 4.0
"""Pixels from the epipolar line (Sampson) that a match may be off."""


@dataclass(frozen=True, eq=False)
class Link:
    """What connects two photos.

    Attributes:
        matches: [M, 2] rows of the features of both, all of them.
        geometry: COLMAP's two-view geometry with the matches that fit it.
    """

    matches: Matches
    geometry: "pycolmap.TwoViewGeometry"

    @property
    def inliers(self) -> int:
        """Number of matches that fit."""
        return len(self.geometry.inlier_matches)

    @property
    def angle(self) -> float:
        """Median angle in degrees between the two rays of a point; 0 where it is not known."""
        return float(np.degrees(max(self.geometry.tri_angle, 0.0)))


def verify(
    matches: Matches,
    features: tuple[Features, Features],
    cameras: "tuple[pycolmap.Camera, pycolmap.Camera]",
    least: int,
    seed: int,
) -> Link | None:
    """Return the link between two photos; ``None`` where fewer than ``least`` matches fit one geometry.

    Essential, fundamental matrix and homography by LO-RANSAC, whichever explains the matches; the
    same in every run.
    """
    import pycolmap  # noqa: PLC0415 - loads with the room in use

    if len(matches) < least:
        return None
    options = pycolmap.TwoViewGeometryOptions(min_num_inliers=least, compute_relative_pose=True)
    options.ransac.max_error = MAX_ERROR
    options.ransac.random_seed = seed
    first, second = (found.pixels.astype(np.float64) + HALF_PIXEL for found in features)
    rows = matches.astype(np.uint32)
    geometry = pycolmap.estimate_two_view_geometry(cameras[0], first, cameras[1], second, rows, options)
    link = Link(matches, geometry)
    return link if link.inliers >= least else None
