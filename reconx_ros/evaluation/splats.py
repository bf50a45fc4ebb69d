"""Points drawn as splats: the baseline a robot already has, and where the inputs saw anything at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import Image, Mask
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe

Floats = NDArray[np.float32]

# A slanted surface spreads its points; beyond this many times the frontal spacing it is a depth edge.
MAX_SLANT = 3.0
# Points this much (relative) behind the nearest one still belong to the same surface: the same
# share of the distance that coverage allows for the noise of depth cameras.
SURFACE_THICKNESS = 0.05


@dataclass(frozen=True, eq=False)
class Splats:
    """Coloured discs that face every camera.

    Attributes:
        points: [N, 3] float32 in the world.
        colors: [N, 3] float32 RGB in [0, 1].
        spacing: [N] float32, distance to the neighbouring point in world units.
    """

    points: Floats
    colors: Floats
    spacing: Floats


def splats_from_keyframes(keyframes: Sequence[Keyframe]) -> Splats:
    """Every pixel with depth becomes a splat (full resolution; keyframes without depth give none)."""
    parts = [_splats_of_view(view, view.depth) for view in keyframes if view.depth is not None]
    if not parts:
        return Splats(*(np.zeros(shape, np.float32) for shape in ((0, 3), (0, 3), (0,))))
    return Splats(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def splats_from_cloud(cloud: PointCloud) -> Splats:
    """Return the points of a cloud, spaced as their nearest neighbours are."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

    # The first of four is the point itself.
    distance, _ = cKDTree(cloud.points).query(cloud.points, k=[1, 2, 3, 4])
    spacing = np.where(np.isfinite(distance), distance, 0).sum(axis=1) / 3
    return Splats(
        cloud.points, cloud.colors.astype(np.float32) / np.float32(255), spacing.astype(np.float32)
    )


def draw_splats(splats: Splats, camera: Camera, background: Floats) -> tuple[Image, Mask]:
    """Render the splats with a depth buffer.

    A splat is a disc of the radius at which a grid of its spacing closes (half the diagonal). The
    nearest surface wins; the splats that lie on it are blended by a Gaussian of the distance from
    their centre (surface splatting, Zwicker et al. 2001).

    Args:
        splats: what to draw.
        camera: where from.
        background: [3], the colour of pixels without a splat.

    Returns:
        image [H, W, 3] and the [H, W] mask of the pixels some splat covers.
    """
    from reconx_ros.evaluation.splat_kernel import blend_splats  # noqa: PLC0415 - numba

    pixels, depth = camera.project(splats.points.astype(np.float64))
    focal = float(np.sqrt(camera.intrinsics[0, 0] * camera.intrinsics[1, 1]))
    front = depth > 1e-6
    radius = focal * splats.spacing[front] / depth[front] / np.sqrt(2)
    total, weight = blend_splats(
        pixels[front],
        depth[front],
        radius,
        splats.colors[front],
        (camera.height, camera.width),
        SURFACE_THICKNESS,
    )
    covered = weight > 0
    image = np.where(covered[..., None], total / np.where(covered, weight, 1)[..., None], background)
    return image.astype(np.float32), covered


def _splats_of_view(view: Keyframe, depth: Floats) -> tuple[Floats, Floats, Floats]:
    points, known = view.camera.unproject(depth), np.isfinite(depth)
    colors = view.image[known].astype(np.float32) / np.float32(255)
    return points[known], colors, _spacing(points, depth / np.float32(view.camera.intrinsics[0, 0]))[known]


def _spacing(points: Floats, frontal: Floats) -> Floats:
    """[H, W] distance to the next pixel's point, the larger of right and below, limited at edges."""
    spacing = frontal.copy()
    for axis in (0, 1):
        step = np.linalg.norm(np.diff(points, axis=axis, append=np.nan), axis=-1)
        spacing = np.fmax(spacing, np.where(step < MAX_SLANT * frontal, step, np.nan))
    return np.asarray(spacing, dtype=np.float32)
