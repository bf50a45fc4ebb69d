"""Training clips: two spoiled references of a procedural scene and true frames to predict from them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.simulation.camera_errors import (
    NO_ERRORS,
    draw_errors,
    expose_truth,
    spoil_color,
    spoil_depth,
    spoil_pose,
)
from reconx_ros.simulation.film import intrinsics as pinhole
from reconx_ros.simulation.paths import clearance
from reconx_ros.simulation.render import View, render
from reconx_ros.simulation.stages import Stage, stage
from reconx_ros.simulation.viewpoints import (
    MARGIN,
    between,
    beyond,
    free_eye,
    hole_share,
    looking,
    second_reference,
)

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

REFERENCES = 2
NEAREST = 0.5
"""Metres of median depth below which a view shows too little."""

FLAT = 0.03
"""Standard deviation of colour below which a view shows too little."""


@dataclass(frozen=True, eq=False)
class ClipConfig:
    """What clips to make.

    Attributes:
        size: height, width in pixels.
        frames: targets F of each clip.
        clips: clips of each scene.
        errors: whether the references are spoiled as real ones are.
    """

    size: tuple[int, int] = (96, 128)
    frames: int = 4
    clips: int = 2
    errors: bool = True


@dataclass(frozen=True, eq=False)
class Clip:
    """References as a robot has them, and the truth of F frames; R = 2.

    Attributes:
        color: [R, H, W, 3] float32 in [0, 1].
        depth: [R, H, W] float32 metres, NaN where unknown.
        world_from_camera: [R, 4, 4] float64 as odometry gives it.
        intrinsics: [3, 3] float64 of all frames.
        target_color: [F, H, W, 3] at an exposure between those of the references, without noise.
        target_depth: [F, H, W] metres, NaN where nothing is.
        target_world_from_camera: [F, 4, 4].
        extrapolated: [F] bool, whether a target lies beyond the references rather than between them.
    """

    color: Floats
    depth: Floats
    world_from_camera: Array
    intrinsics: Array
    target_color: Floats
    target_depth: Floats
    target_world_from_camera: Array
    extrapolated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Shot:
    color: Floats
    depth: Floats
    cosine: Floats


def sample_clip(seed: int, config: ClipConfig | None = None) -> Clip:
    """Return the first clip of scene ``seed``."""
    return next(sample_clips(seed, config or ClipConfig()))


def sample_clips(seed: int, config: ClipConfig) -> Iterator[Clip]:
    """Yield up to ``config.clips`` clips of scene ``seed``; the same arguments give the same clips."""
    random = np.random.default_rng([seed, 17])
    place, made = stage(seed), 0
    for _ in range(20 * config.clips):
        clip = _try_clip(place, config, random)
        if clip is not None:
            yield clip
            made += 1
        if made == config.clips:
            return


def _try_clip(place: Stage, config: ClipConfig, random: np.random.Generator) -> Clip | None:
    """Return a clip, or ``None`` where the cameras found no place or see too little."""
    eye = free_eye(place, random)
    if eye is None:
        return None
    k = pinhole(config.size[1], config.size[0])
    k[:2, :2] *= random.uniform(0.85, 1.25)
    first = looking(eye, place, random)
    shots = [_shoot(place, first, k, config.size)]
    if not _worth_it(shots[0]):
        return None
    far = float(np.nanmedian(shots[0].depth))
    second = second_reference(first, far, place, random)
    if second is None:
        return None
    shots.append(_shoot(place, second, k, config.size))
    references = np.stack([first, second])
    targets = _targets(place, references, shots, k, config, random)
    if not _worth_it(shots[1]) or targets is None:
        return None
    return _spoiled(place, references, shots, targets, k, config, random)


def _worth_it(shot: _Shot) -> bool:
    known = np.isfinite(shot.depth)
    return bool(known.mean() > 0.5 and np.nanmedian(shot.depth) > NEAREST and shot.color.std() > FLAT)


def _shoot(place: Stage, pose: Array, k: Array, size: tuple[int, int]) -> _Shot:
    view = View(torch.from_numpy(k).float()[None], torch.from_numpy(pose).float()[None], size[1], size[0])
    seen = render(place.scene, view)
    rays = view.directions(view.pixels())[0].numpy().reshape(*size, 3)
    cosine = -(seen.normal[0].numpy() * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
    return _Shot(seen.color[0].numpy(), seen.depth[0].numpy(), cosine.astype(np.float32))


def _targets(
    place: Stage,
    references: Array,
    shots: list[_Shot],
    k: Array,
    config: ClipConfig,
    random: np.random.Generator,
) -> list[tuple[Array, bool]] | None:
    """Choose the targets' poses: every fourth between the references, the others with large holes."""
    depths = [shot.depth for shot in shots]
    chosen: list[tuple[Array, bool]] = []
    for number in range(config.frames):
        extrapolated = number % 4 != 0
        low, high = ((0.4, 0.7), (0.2, 0.45))[int(random.random() > 0.7)]
        for _ in range(40):
            if extrapolated:
                far = float(np.nanmedian(depths[0]))
                pose = beyond(references, far, random.uniform(0.15, 1.0), random)
            else:
                pose = between(references, random.uniform(0.2, 0.8), random)
            share = hole_share(references, depths, k, pose, config.size)
            if clearance(place.scene, pose[None, :3, 3])[0] < MARGIN / 2:
                continue
            if not extrapolated or low <= share <= high:
                chosen.append((pose, extrapolated))
                break
    return chosen if len(chosen) == config.frames else None


def _spoiled(
    place: Stage,
    references: Array,
    shots: list[_Shot],
    targets: list[tuple[Array, bool]],
    k: Array,
    config: ClipConfig,
    random: np.random.Generator,
) -> Clip:
    errors = draw_errors(random, REFERENCES) if config.errors else NO_ERRORS
    films = [_shoot(place, pose, k, config.size) for pose, _ in targets]
    share = random.uniform(0.35, 0.65)
    drift, lift = (share * value[0] + (1 - share) * value[1] for value in (errors.drift, errors.lift))
    return Clip(
        np.stack([spoil_color(shot.color, errors, at, random) for at, shot in enumerate(shots)]),
        np.stack([spoil_depth(shot.depth, shot.cosine, errors, random) for shot in shots]),
        np.stack([spoil_pose(pose, errors, random) for pose in references]),
        k,
        np.stack([expose_truth(film.color, errors, drift, lift) for film in films]),
        np.stack([film.depth for film in films]),
        np.stack([pose for pose, _ in targets]),
        np.array([extrapolated for _, extrapolated in targets]),
    )
