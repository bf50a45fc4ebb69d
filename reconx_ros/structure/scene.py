"""What the planner knows: the keyframes, the cloud thinned, and what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.free_space import FreeSpace
from reconx_ros.structure.hopes import Hopes, hopes
from reconx_ros.structure.survey import Sketch, Survey, survey

MOST_BACK = 0.05
"""Share of a view that may show surfaces from behind: more means that it looks through something."""

SAME = 0.01
"""Two cameras that differ less, in scene depths and radians, are one place."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The inputs and the surface they saw.

    Attributes:
        cameras: of the posed keyframes, by index.
        sketches: coarse views of the same.
        survey: the thinned cloud.
        space: where a camera may be.
        config: the planner's settings.
    """

    cameras: Mapping[int, Camera]
    sketches: Mapping[int, Sketch]
    survey: Survey
    space: FreeSpace
    config: PlanConfig

    @staticmethod
    def of(cameras: Mapping[int, Camera], cloud: PointCloud, config: PlanConfig) -> "Scene | None":
        """Take the posed cameras; ``None`` where they see nothing of the cloud."""
        known = survey(cloud, list(cameras.values())) if len(cloud) and cameras else None
        if known is None:
            return None
        sketches = {index: known.draw(camera) for index, camera in cameras.items()}
        space = FreeSpace(known, list(sketches.values()), config.clearance, config.venture)
        return Scene(cameras, sketches, known, space, config)

    def hopes(self, camera: Camera) -> Hopes:
        """Return what a view hopes to learn."""
        return self.hopes_of(self.survey.draw(camera))

    def hopes_of(self, sketch: Sketch) -> Hopes:
        """Return what a view that is drawn already hopes to learn."""
        return hopes(sketch, list(self.sketches.values()), self.config.reach)

    def fillable(self, sketch: Sketch) -> bool:
        """Return whether enough of a view is known to fill the rest."""
        return sketch.unseen <= self.config.most_unseen and float(sketch.back.mean()) <= MOST_BACK

    def depth(self, index: int) -> float:
        """Return the median depth of what keyframe ``index`` sees; that of the scene where nothing."""
        seen = self.sketches[index].depth[self.sketches[index].front]
        return float(np.median(seen)) if seen.size else self.survey.depth

    def places(self) -> list[int]:
        """Return the keyframes without those that repeat an earlier one's view."""
        chosen: list[int] = []
        for index, camera in self.cameras.items():
            if not any(self._same(camera, self.cameras[other]) for other in chosen):
                chosen.append(index)
        return chosen

    def _same(self, first: Camera, second: Camera) -> bool:
        moved = float(np.linalg.norm(first.centre - second.centre)) < SAME * self.survey.depth
        turned = first.world_from_camera[:3, 2] @ second.world_from_camera[:3, 2] > np.cos(SAME)
        return bool(moved and turned)


def alike(cameras: Sequence[Camera]) -> bool:
    """Return whether all images have one size: only such frames make a clip."""
    return len({(camera.width, camera.height) for camera in cameras}) <= 1
