"""What of the live map is in memory: keyframes, points and Gaussians, by submap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.geometry.fusion import CloudFusion
from reconx_ros.geometry.protocol import Geometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.archive import RestingSubmap
from reconx_ros.mapping.box import Box
from reconx_ros.mapping.guesses import Guesses
from reconx_ros.mapping.live_gaussians import LiveGaussians
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Silent
from reconx_ros.splatting.views import observed_view

Array = NDArray[np.float64]


class NearMap:
    """The part of the map that is worked on.

    Attributes:
        keyframes: in memory.
        waiting: names of keyframes whose geometry is not known yet.
        groups: the submap of every keyframe of the map, by name.
        poses: world_from_camera [4, 4] of each, likewise.
        released: names of keyframes that the map can be built again without.
        metric: whether the world is in metres.
        fusion: the points.
        gaussians: the Gaussians.
        guesses: what of them was generated.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self.keyframes: list[Keyframe] = []
        self.waiting: list[str] = []
        self.groups: dict[str, int] = {}
        self.poses: dict[str, Array] = {}
        self.released: list[str] = []
        self.metric = True
        self.fusion = CloudFusion(config.geometry.fusion)
        self.gaussians = LiveGaussians(config)
        self.guesses = Guesses(config, self.gaussians)

    def enter(self, keyframe: Keyframe, number: int) -> None:
        """Note a new keyframe of the submap ``number``."""
        self.groups[keyframe.name] = number
        self.poses[keyframe.name] = keyframe.camera.world_from_camera
        self.keyframes.append(keyframe)

    def renew(self, keyframe: Keyframe) -> None:
        """Let a keyframe have the camera and depth that are known of it now."""
        self.keyframes = [keyframe if k.name == keyframe.name else k for k in self.keyframes]
        self.poses[keyframe.name] = keyframe.camera.world_from_camera

    def forget(self, names: Sequence[str]) -> dict[str, int]:
        """Drop keyframes and their views, not what came of them; return the submap each had."""
        self.gaussians.forget_views(names)
        self.keyframes = [k for k in self.keyframes if k.name not in names]
        self.waiting = [name for name in self.waiting if name not in names]
        for name in names:
            del self.poses[name]
        return {name: self.groups.pop(name) for name in names}

    def regroup(self, old: int, new: int) -> None:
        """Let what belongs to the submap ``old`` belong to ``new``."""
        self.fusion.regroup(old, new)
        self.gaussians.regroup(old, new)
        self.groups = {name: new if group == old else group for name, group in self.groups.items()}

    def reconstruction(self, report: dict[str, Any], evidence: bool) -> Reconstruction | None:
        """Return what is in memory as a map, ``None`` before there is anything.

        Args:
            report: to go with it.
            evidence: whether with that of its Gaussians, for mapping to go on from.
        """
        live = self.gaussians.snapshot()
        if live is None:
            return None
        kept = self.gaussians.evidence() if evidence else None
        cloud, keyframes = self.fusion.cloud(), tuple(self.keyframes)
        return Reconstruction(live[0], cloud, keyframes, self.metric, live[1], report, kept)

    def move(self, motions: Mapping[int, Array]) -> None:
        """Move submaps by their rigid motions [4, 4].

        Raises:
            GeometryError: a point would be too far from the origin of the world; nothing moved.
        """
        self.fusion.move(motions)
        self.gaussians.move(motions, self.groups)
        for name, group in self.groups.items():
            if group in motions:
                self.poses[name] = motions[group] @ self.poses[name]
        self.keyframes = [replace(k, camera=k.camera.moved(self.poses[k.name])) for k in self.keyframes]

    def clear(self, box: Box) -> int:
        """Remove points and Gaussians whose centres lie in a box; return their number."""
        points = box.inside(self.fusion.cloud().points)
        self.fusion.remove(points)
        return int(np.count_nonzero(points)) + self.gaussians.remove(box.inside(self.gaussians.means))

    def take(self, number: int) -> RestingSubmap:
        """Remove and return a submap; its keyframes stay known by name."""
        mine = tuple(k for k in self.keyframes if self.groups[k.name] == number)
        taken = self.gaussians.take(number, [k.name for k in mine])
        self.keyframes = [k for k in self.keyframes if self.groups[k.name] != number]
        return RestingSubmap(mine, self.fusion.take(number), taken)

    def put(self, number: int, submap: RestingSubmap, room: Callable[[list[Keyframe]], Geometry]) -> None:
        """Bring back what ``take`` gave.

        Args:
            number: of the submap.
            submap: it.
            room: gives the geometry of views, for the depth of the submap's.

        Raises:
            GeometryError: there is none.
        """
        views, count = [*submap.keyframes, *self.keyframes], len(submap.keyframes)
        estimate = room(views).estimate(views, Silent(), only=range(count)) if count else None
        self.fusion.put(submap.voxels)
        if submap.taken is not None:
            taken = submap.taken
            self.gaussians.add(taken.gaussians, number, taken.ids, taken.evidence)
        if estimate is not None:
            for keyframe, pointmap in zip(estimate.keyframes, estimate.pointmaps, strict=True):
                self.poses[keyframe.name] = keyframe.camera.world_from_camera
                if keyframe.name not in self.waiting:
                    self.gaussians.add_views(keyframe.name, [observed_view(keyframe, pointmap)])
            self.keyframes += estimate.keyframes
