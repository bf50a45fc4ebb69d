"""Submaps that rest on disk: written whole, moved by what is noted beside them, read back when near."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import MapError
from reconx_ros.geometry.voxel_motion import move_groups
from reconx_ros.geometry.voxel_store import Voxels
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.npz import DAMAGED
from reconx_ros.mapping.taken import TakenGaussians
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.evidence import Evidence
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.splatting.motion import moved

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RestingSubmap:
    """All there is of a submap.

    Attributes:
        keyframes: its views.
        voxels: its part of the cloud.
        taken: its Gaussians, ``None`` where it brought in none.
    """

    keyframes: tuple[Keyframe, ...]
    voxels: Voxels
    taken: TakenGaussians | None


class Archive:
    """Files of submaps, and how far each has to be moved since it was written.

    Args:
        folder: where; ``None`` for a folder of the system's temporary ones. What an earlier run
            left there is removed.
        voxel_size: of the cloud.
    """

    def __init__(self, folder: Path | None, voxel_size: float) -> None:
        self._voxel_size = voxel_size
        self._temporary = None if folder is not None else tempfile.TemporaryDirectory(prefix="reconx-")
        self._folder = folder if folder is not None else Path(self._temporary.name)  # type: ignore[union-attr]
        self._motions: dict[int, Array] = {}
        self._corners: dict[int, Array] = {}
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def __len__(self) -> int:
        """Return the number of submaps that rest here."""
        return len(self._motions)

    def __iter__(self) -> Iterator[int]:
        """Iterate over their numbers."""
        return iter(tuple(self._motions))

    def store(self, number: int, submap: RestingSubmap) -> None:
        """Write a submap.

        Raises:
            MapError: it cannot be written (disk full).
        """
        file = self._file(number)
        aside = file.with_suffix(".part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as stream:
                np.savez(stream, **_packed(submap))  # type: ignore[arg-type]
            aside.replace(file)
        except OSError as err:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise MapError(f"submap {number} cannot be put to disk: {err.strerror or err}") from err
        self._motions[number], self._corners[number] = np.eye(4), _corners(submap)

    def read(self, number: int) -> RestingSubmap:
        """Return a submap, corrected, and leave it here.

        Raises:
            MapError: its file is damaged or gone.
        """
        try:
            with np.load(self._file(number)) as packed:
                submap = _unpacked(packed)
        except DAMAGED as err:
            raise MapError(f"submap {number} cannot be read back: {' '.join(str(err).split())}") from err
        return _moved(submap, number, self._motions[number], self._voxel_size)

    def remove(self, number: int) -> None:
        """Forget a submap."""
        del self._motions[number], self._corners[number]
        self._file(number).unlink(missing_ok=True)

    def corners(self, number: int) -> Array:
        """Return the corners [8, 3] of a box round all points and Gaussians of a submap; none if empty."""
        motion = self._motions[number]
        return self._corners[number] @ motion[:3, :3].T + motion[:3, 3]

    def move(self, motions: Mapping[int, Array]) -> None:
        """Note corrections of submaps; those that do not rest here are ignored."""
        for number, motion in motions.items():
            if number in self._motions:
                self._motions[number] = motion @ self._motions[number]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"


def _corners(submap: RestingSubmap) -> Array:
    means = [] if submap.taken is None else [submap.taken.gaussians.means]
    positions = np.concatenate([submap.voxels.means()[:, :3], *means])
    if not len(positions):
        return np.empty((0, 3))
    axes = np.stack([positions.min(axis=0), positions.max(axis=0)], axis=1)
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)


def _moved(submap: RestingSubmap, number: int, motion: Array, voxel_size: float) -> RestingSubmap:
    if np.array_equal(motion, np.eye(4)):
        return submap
    keyframes = (
        replace(k, camera=k.camera.moved(motion @ k.camera.world_from_camera)) for k in submap.keyframes
    )
    taken = submap.taken
    if taken is not None:
        taken = replace(
            taken,
            gaussians=moved(taken.gaussians, motion),
            appearance=taken.appearance.moved(motion),
        )
    voxels = move_groups(submap.voxels, {number: motion}, voxel_size)
    return RestingSubmap(tuple(keyframes), voxels, taken)


def _packed(submap: RestingSubmap) -> dict[str, NDArray[Any]]:
    """Return the submap as named arrays of plain types."""
    about = [(k.name, k.stamp_ns, k.posed, k.depth is not None) for k in submap.keyframes]
    arrays: dict[str, NDArray[Any]] = {"about": np.array(json.dumps(about))}
    for index, keyframe in enumerate(submap.keyframes):
        arrays[f"image {index}"] = keyframe.image
        arrays[f"k {index}"] = keyframe.camera.intrinsics
        arrays[f"pose {index}"] = keyframe.camera.world_from_camera
        if keyframe.depth is not None:
            arrays[f"depth {index}"] = keyframe.depth
        if keyframe.pose_covariance is not None:
            arrays[f"covariance {index}"] = keyframe.pose_covariance
    arrays |= {f"voxels {field.name}": getattr(submap.voxels, field.name) for field in fields(Voxels)}
    if submap.taken is not None:
        taken = submap.taken
        arrays["ids"] = taken.ids
        arrays |= {f"gaussians {f.name}": getattr(taken.gaussians, f.name) for f in fields(GaussianMap)}
        arrays |= {f"appearance {f.name}": getattr(taken.appearance, f.name) for f in fields(Appearance)}
        arrays |= {f"evidence {f.name}": getattr(taken.evidence, f.name) for f in fields(Evidence)}
    return arrays


def _unpacked(packed: Mapping[str, NDArray[Any]]) -> RestingSubmap:
    keyframes = []
    for index, (name, stamp_ns, posed, deep) in enumerate(json.loads(str(packed["about"]))):
        image = packed[f"image {index}"]
        camera = Camera(packed[f"k {index}"], packed[f"pose {index}"], image.shape[1], image.shape[0])
        depth = packed[f"depth {index}"] if deep else None
        covariance = packed.get(f"covariance {index}")
        keyframes.append(Keyframe(name, stamp_ns, image, camera, depth, posed, covariance))
    taken = None
    if "ids" in packed:
        gaussians = GaussianMap(**{f.name: packed[f"gaussians {f.name}"] for f in fields(GaussianMap)})
        appearance = Appearance(**{f.name: packed[f"appearance {f.name}"] for f in fields(Appearance)})
        evidence = Evidence(**{f.name: packed[f"evidence {f.name}"] for f in fields(Evidence)})
        taken = TakenGaussians(gaussians, packed["ids"], appearance, evidence)
    voxels = Voxels(**{f.name: packed[f"voxels {f.name}"] for f in fields(Voxels)})
    return RestingSubmap(tuple(keyframes), voxels, taken)
