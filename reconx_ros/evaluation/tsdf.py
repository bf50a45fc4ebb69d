"""The classic map of a depth camera: a TSDF mesh with vertex colours (Curless and Levoy, by Open3D)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.evaluation.metrics import Image, Mask
from reconx_ros.keyframes.keyframe import Keyframe

if TYPE_CHECKING:
    from open3d.t.geometry import VoxelBlockGrid

METRIC_VOXEL = 0.01  # metres
VOXELS_ACROSS = 500  # of the scene, where the world has no metres
TRUNCATION_VOXELS = 8.0  # as Open3D has it


@dataclass(frozen=True, eq=False)
class ColouredMesh:
    """Triangles with a colour at each vertex.

    Attributes:
        vertices: [V, 3] float32 in the world.
        triangles: [T, 3] int32 rows of ``vertices``.
        colors: [V, 3] float32 RGB in [0, 1].
    """

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    colors: NDArray[np.float32]


def has_depth(view: Keyframe) -> bool:
    """Whether any pixel of ``view`` has measured depth."""
    return view.depth is not None and bool(np.isfinite(view.depth).any())


def voxel_size(keyframes: Sequence[Keyframe], metric: bool) -> float:
    """1 cm in a metric world, else 1/500 of the diagonal of what the views measured."""
    if metric:
        return METRIC_VOXEL
    corners = [_bounds(view) for view in keyframes if has_depth(view)]
    low, high = np.min([c[0] for c in corners], axis=0), np.max([c[1] for c in corners], axis=0)
    return float(np.linalg.norm(high - low)) / VOXELS_ACROSS


def tsdf_mesh(keyframes: Sequence[Keyframe], voxel: float) -> ColouredMesh:
    """Fuse the depth and colour of ``keyframes`` (those with depth, at full size) into a mesh.

    Args:
        keyframes: the views.
        voxel: edge length in world units; the distance is cut off at 8 voxels.
    """
    measured = [(view, view.depth) for view in keyframes if view.depth is not None and has_depth(view)]
    if not measured:
        return _empty_mesh()
    grid = _empty_grid(voxel)
    for view, depth in measured:
        _integrate(grid, view, depth)
    # Weights count views: a surface that a single view saw stays in.
    mesh = grid.extract_triangle_mesh(weight_threshold=0.5)
    if mesh.is_empty():
        return _empty_mesh()
    return ColouredMesh(
        mesh.vertex.positions.numpy(),
        mesh.triangle.indices.numpy().astype(np.int32),
        np.clip(mesh.vertex.colors.numpy(), 0, 1),
    )


def draw_mesh(mesh: ColouredMesh, camera: Camera, background: NDArray[np.float32]) -> tuple[Image, Mask]:
    """Cast a ray through every pixel centre; interpolate the vertex colours where it hits.

    Returns:
        image [H, W, 3] and the [H, W] mask of hits; ``background`` [3] elsewhere.
    """
    hit, corners, weights = _cast(mesh, camera)
    image = np.broadcast_to(background, (*hit.shape, 3)).astype(np.float32)
    image[hit] = (mesh.colors[corners] * weights[..., None]).sum(axis=1)
    return image, hit


def _cast(mesh: ColouredMesh, camera: Camera) -> tuple[Mask, NDArray[np.int32], NDArray[np.float32]]:
    """Return hits [H, W] and, for each hit, its triangle's vertices [M, 3] and their weights [M, 3]."""
    import open3d as o3d  # noqa: PLC0415 - slow to import

    if len(mesh.triangles) == 0:
        nothing = np.zeros((camera.height, camera.width), bool)
        return nothing, np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor.from_numpy(mesh.vertices),
        o3d.core.Tensor.from_numpy(mesh.triangles.astype(np.uint32)),
    )
    directions = camera.rays() @ camera.world_from_camera[:3, :3].T
    origins = np.broadcast_to(camera.centre, directions.shape)
    rays = np.concatenate([origins, directions], axis=-1).astype(np.float32)
    answer = scene.cast_rays(o3d.core.Tensor.from_numpy(rays))
    hit = np.isfinite(answer["t_hit"].numpy())
    uv = answer["primitive_uvs"].numpy()[hit]
    weights = np.concatenate([1 - uv.sum(axis=-1, keepdims=True), uv], axis=-1)
    return hit, mesh.triangles[answer["primitive_ids"].numpy()[hit]], weights


def _empty_mesh() -> ColouredMesh:
    nothing = np.zeros((0, 3), np.float32)
    return ColouredMesh(nothing, nothing.astype(np.int32), nothing)


def _empty_grid(voxel: float) -> "VoxelBlockGrid":
    import open3d as o3d  # noqa: PLC0415 - slow to import

    return o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(o3d.core.float32,) * 3,
        attr_channels=tuple(o3d.core.SizeVector([size]) for size in (1, 1, 3)),
        voxel_size=voxel,
        block_resolution=8,
        block_count=20_000,  # 10 kB each; grows
    )


def _integrate(grid: "VoxelBlockGrid", view: Keyframe, depth: NDArray[np.float32]) -> None:
    """Fuse one view; Open3D has our pixel convention and takes depth 0 as unknown."""
    import open3d as o3d  # noqa: PLC0415 - slow to import

    depth_image = o3d.t.geometry.Image(o3d.core.Tensor.from_numpy(np.nan_to_num(depth, nan=0.0)))
    color = o3d.t.geometry.Image(o3d.core.Tensor.from_numpy(view.image.astype(np.float32) / 255))
    intrinsics = o3d.core.Tensor.from_numpy(view.camera.intrinsics)
    extrinsics = o3d.core.Tensor.from_numpy(view.camera.camera_from_world)
    limits = {
        "depth_scale": 1.0,
        "depth_max": float(np.nanmax(depth)) + 1.0,
        "trunc_voxel_multiplier": TRUNCATION_VOXELS,
    }
    blocks = grid.compute_unique_block_coordinates(depth_image, intrinsics, extrinsics, **limits)
    grid.integrate(blocks, depth_image, color, intrinsics, extrinsics, **limits)


def _bounds(view: Keyframe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    assert view.depth is not None
    points = view.camera.unproject(view.depth)[np.isfinite(view.depth)]
    return points.min(axis=0), points.max(axis=0)
