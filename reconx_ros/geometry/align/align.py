"""Global alignment: pairs of pointmaps and beliefs about poses to cameras in one world."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import GeometryError
from reconx_ros.geometry.align.config import AlignmentConfig
from reconx_ros.geometry.align.normal_equations import Columns
from reconx_ros.geometry.align.observations import Observations, observe
from reconx_ros.geometry.align.pairs import PairPointMaps, check_pairs
from reconx_ros.geometry.align.priors import Priors
from reconx_ros.geometry.align.search import Found, objective, search
from reconx_ros.geometry.align.similarity import Similarity
from reconx_ros.geometry.align.spanning import Spanned, span
from reconx_ros.geometry.align.state import State, initial_noise
from reconx_ros.geometry.groups import groups

Array = NDArray[np.float64]

TELLING = 2.0
"""Cameras must be spread over this many deviations of their positions to tell the scale."""

LEAST_MOTION = 0.005
"""And over this share of the distance to what they see."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The answer.

    Attributes:
        cameras: one a view, refined; that of a view that is not aligned is as it was.
        aligned: [N] bool, whether a view is connected to the world.
        covariance: [N, 6, 6] float64 of (x, y, z, rotation vector) in the axes of the world, NaN for
            views that were held or are not aligned.
        scales: [E] float64, world units of each pair's unit; NaN for pairs of views not aligned.
        trust: [E] float64 in (0, 1], low for pairs that contradict the others.
        noise: relative standard deviation of the pointmaps that the residuals show.
        metric: whether the world's unit is given by poses or metric pairs.
    """

    cameras: tuple[Camera, ...]
    aligned: NDArray[np.bool_]
    covariance: Array
    scales: Array
    trust: Array
    noise: float
    metric: bool

    @staticmethod
    def of_none(cameras: Sequence[Camera]) -> "Alignment":
        """Return the answer where there is no pair: no view is aligned."""
        count = len(cameras)
        aligned, covariance = np.zeros(count, bool), np.full((count, 6, 6), np.nan)
        return Alignment(tuple(cameras), aligned, covariance, np.empty(0), np.empty(0), 0.0, metric=True)


def align(
    pairs: Sequence[PairPointMaps],
    cameras: Sequence[Camera],
    priors: Priors,
    config: AlignmentConfig,
) -> Alignment:
    """Bring ``pairs`` into one world (DUSt3R, section 3.4, with priors).

    Views that the pairs connect are aligned together. Where no pose is known, the world is the camera
    frame of the first view of the strongest pair, and only the largest group is aligned.

    Args:
        pairs: pointmaps of two views each.
        cameras: of the N views; intrinsics as far as they are known, any pose.
        priors: of the same views.
        config: how hard to search.

    Raises:
        GeometryError: pairs do not fit the views, or the poses cannot tell the scale.
    """
    check_pairs(pairs, [(camera.height, camera.width) for camera in cameras])
    parted = groups(len(cameras), [pair.views for pair in pairs])
    several = [group for group in parted if len(group) > 1]
    placeable = [group for group in several if priors.known[group].any()] or several[:1]
    parts = [_align_group(group, pairs, cameras, priors, config) for group in placeable]
    done = [part for part in parts if part is not None]
    if not done:
        raise GeometryError(f"none of {len(pairs)} pairs of views has enough confident points to align")
    return _joined(done, cameras, len(pairs))


@dataclass(frozen=True, eq=False)
class _Part:
    """One group aligned: its views, its pairs (indices into the whole), and what was found of them."""

    views: list[int]
    pairs: list[int]
    found: Found
    covariance: Array
    metric: bool


def _align_group(
    group: list[int],
    pairs: Sequence[PairPointMaps],
    cameras: Sequence[Camera],
    priors: Priors,
    config: AlignmentConfig,
) -> _Part | None:
    """Align some views by the pairs among them; views that cannot be placed are left out."""
    chosen = [e for e, pair in enumerate(pairs) if pair.first in group and pair.second in group]
    if not chosen:
        return None
    place = {view: row for row, view in enumerate(group)}
    local = [replace(pairs[e], first=place[pairs[e].first], second=place[pairs[e].second]) for e in chosen]
    seen = observe(local, [cameras[view] for view in group], config.samples)
    scores, focal = [pair.score for pair in local], [cameras[view].intrinsics[0, 0] for view in group]
    spanned, own = span(seen, scores, np.array(focal)), priors.of(group)
    usable = spanned.placed | own.known
    if not usable.all():
        kept = [view for view, use in zip(group, usable, strict=True) if use]
        return _align_group(kept, pairs, cameras, priors, config)
    metric = bool(seen.metric.any()) or int(own.known.sum()) >= 2
    columns = _columns(seen, own, metric, int(np.argmax(scores)))
    start = _start(seen, spanned, own, columns, config)
    found = search(seen, start, own, columns, config)
    return _Part(group, chosen, found, _covariances(found, columns), metric)


def _columns(seen: Observations, priors: Priors, metric: bool, strongest: int) -> Columns:
    """Number the unknowns; what the world's frame and unit hang on is fixed."""
    free_pose, free_scale = torch.from_numpy(~priors.hard), ~seen.metric
    if not priors.known.any():
        free_pose[seen.base[2 * strongest]] = False
    if not metric:
        free_scale[strongest] = False
    free_focal = torch.from_numpy(priors.focal_deviation > 0)
    return Columns.number(free_pose, free_focal, free_scale)


def _start(
    seen: Observations, spanned: Spanned, priors: Priors, columns: Columns, config: AlignmentConfig
) -> State:
    """Return the better of two states: the poses believed, or those put together from the pairs."""
    to_world = world_of(seen, spanned, priors)
    built = np.stack([to_world.apply_pose(pose) for pose in spanned.poses])
    scales = np.where(seen.metric.numpy(), 1.0, spanned.scales * to_world.scale)
    nothing, log_scale = torch.zeros(seen.views, dtype=torch.float64), torch.from_numpy(np.log(scales))
    believed = np.where(priors.known[:, None, None], priors.poses, built)
    held = priors.hard | ~spanned.placed
    pieced = np.where(held[:, None, None], priors.poses, built)
    states = [State(torch.from_numpy(poses), nothing, log_scale) for poses in (believed, pieced)]
    rough = initial_noise(seen)
    losses = [
        objective(seen, state, priors, columns, rough, config.independent_samples)[1] for state in states
    ]
    return states[int(np.argmin(losses))]


def world_of(seen: Observations, spanned: Spanned, priors: Priors) -> Similarity:
    """Return the map from the frame of ``spanned`` to the world of the poses known.

    Raises:
        GeometryError: the cameras are too near each other to tell the scale.
    """
    both = priors.known & spanned.placed
    if not both.any():
        return Similarity.identity()
    rotation = mean_rotation(priors.poses[both, :3, :3] @ spanned.poses[both, :3, :3].transpose(0, 2, 1))
    source, target = spanned.poses[both, :3, 3] @ rotation.T, priors.poses[both, :3, 3]
    middle, aim = source.mean(0), target.mean(0)
    scale = 1.0
    if both.sum() > 1 and not bool(seen.metric.any()):
        _check_spread(seen, source - middle, target - aim, priors)
        scale = float(((source - middle) * (target - aim)).sum() / ((source - middle) ** 2).sum())
        if scale <= 0:
            raise GeometryError(
                f"the poses of {int(both.sum())} keyframes contradict their images: the cameras seem to "
                "move the other way; are the poses world_from_camera in optical axes?"
            )
    return Similarity(scale, rotation, aim - scale * middle)


def _check_spread(seen: Observations, source: Array, target: Array, priors: Priors) -> None:
    spread = float(np.sqrt((target**2).sum(1).mean()))
    distance = float(seen.points.norm(dim=-1)[seen.weight > 0].median())
    deviation = 0.0 if priors.hard.all() else priors.position_deviation
    moved = float(np.sqrt((source**2).sum(1).mean())) / max(distance, 1e-12)
    if spread <= TELLING * deviation or moved < LEAST_MOTION:
        raise GeometryError(
            f"{len(source)} keyframes stand within {spread:.2g} of each other (positions known to "
            f"{deviation:.2g}) and {100 * moved:.1f}% of the distance to what they see: the scale of the "
            "map cannot be told; move the camera sideways, or give depth"
        )


def mean_rotation(rotations: Array) -> Array:
    """Return the rotation [3, 3] nearest to most of ``rotations`` [N, 3, 3] (L1 of chordal distances)."""
    weight = np.ones(len(rotations))
    for _ in range(10):
        left, _, right = np.linalg.svd(np.tensordot(weight, rotations, 1))
        middle = (left * [1.0, 1.0, np.linalg.det(left @ right)]) @ right
        weight = 1 / np.maximum(np.linalg.norm(rotations - middle, axis=(1, 2)), 1e-3)
    return np.asarray(middle, dtype=np.float64)


def _covariances(found: Found, columns: Columns) -> Array:
    """Return [N, 6, 6] in the world's axes; NaN for views whose pose is fixed."""
    poses = found.fit.state.poses.numpy()
    result = np.full((len(poses), 6, 6), np.nan)
    if columns.count == 0:
        return result
    inverse = torch.linalg.pinv(found.information, hermitian=True).numpy()
    for view, where in enumerate(columns.pose.numpy()):
        if where[0] < columns.count:
            turn = np.kron(np.eye(2), poses[view, :3, :3])
            result[view] = turn @ inverse[np.ix_(where, where)] @ turn.T
    return result


def _joined(parts: Sequence[_Part], cameras: Sequence[Camera], pairs: int) -> Alignment:
    refined, aligned = list(cameras), np.zeros(len(cameras), bool)
    covariance = np.full((len(cameras), 6, 6), np.nan)
    scales, trust = np.full(pairs, np.nan), np.full(pairs, np.nan)
    for part in parts:
        state = part.found.fit.state
        for row, view in enumerate(part.views):
            refined[view] = _refined(cameras[view], state.poses[row].numpy(), float(state.log_focal[row]))
        aligned[part.views] = True
        covariance[part.views] = part.covariance
        scales[part.pairs] = state.log_scale.exp().numpy()
        trust[part.pairs] = part.found.noise.trust[::2].numpy()
    noise = float(np.mean([part.found.noise.relative for part in parts]))
    metric = all(part.metric for part in parts)
    return Alignment(tuple(refined), aligned, covariance, scales, trust, noise, metric)


def _refined(camera: Camera, pose: Array, log_focal: float) -> Camera:
    intrinsics = camera.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] *= np.exp(log_focal)
    return replace(camera, intrinsics=intrinsics, world_from_camera=pose.copy())
