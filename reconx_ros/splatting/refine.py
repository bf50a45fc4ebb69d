"""Cameras that are fitted along with the map, held near where they were by a prior."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.splatting.config import RefinementConfig

PRIOR = 1e-3
"""What one standard deviation of each number adds to the loss."""


class CameraRefinement:
    """A correction of each pose, and one of the focal lengths of all.

    The loss gets ``PRIOR`` times the squared number of standard deviations that a camera is away from where
    it was: maximum a posteriori under independent normal errors, as in BARF (Lin et al. 2021) with priors.
    """

    def __init__(self, config: RefinementConfig, extent: float) -> None:
        self._config = config
        turn = np.radians(config.rotation_sigma)
        self._sigma = torch.tensor(
            [config.translation_sigma * extent] * 3 + [turn] * 3 + [config.focal_sigma] * 2,
            dtype=torch.float64,
        )
        self._offsets: dict[int, Tensor] = {}
        self._moments: dict[int, tuple[Tensor, Tensor, int]] = {}
        self._focal = torch.zeros(2, dtype=torch.float64)
        self._focal_moments = torch.zeros(2), torch.zeros(2), 0

    def keep(self, views: list[int]) -> None:
        """Drop all views but these, in this order."""
        self._offsets = {n: self._offsets[v] for n, v in enumerate(views) if v in self._offsets}
        self._moments = {n: self._moments[v] for n, v in enumerate(views) if v in self._moments}

    @property
    def wanted(self) -> bool:
        """Whether there is anything to fit."""
        return self._config.poses or self._config.focal

    def move(self, cameras: list[Camera], view: int, gradient: Tensor, share: float) -> None:
        """Correct the camera of ``view`` in place, and the focal lengths of all; see ``step``."""
        correction = self.step(view, gradient, share)
        cameras[view] = refined(cameras[view], correction)
        if self._config.focal:
            correction[:6] = 0
            for other in range(len(cameras)):
                if other != view:
                    cameras[other] = refined(cameras[other], correction)

    def step(self, view: int, gradient: Tensor, share: float) -> Tensor:
        """Return the correction [8] of ``view`` by one Adam step at ``share`` of the rate.

        The two focal factors are those by which all views change. A gradient that is not finite changes
        nothing.
        """
        if not bool(torch.isfinite(gradient).all()):
            return torch.zeros(8, dtype=torch.float64)
        offset = self._offsets.get(view, torch.zeros(6, dtype=torch.float64))
        place = torch.cat([offset, self._focal])
        slope = gradient.double() + 2 * PRIOR * place / self._sigma.square()
        fresh = torch.zeros(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64), 0
        pose, self._moments[view] = _adam(slope[:6], self._moments.get(view, fresh))
        focal, self._focal_moments = _adam(slope[6:], self._focal_moments)
        rate = share * self._config.rate * self._sigma
        move = -rate * torch.cat([pose * self._config.poses, focal * self._config.focal])
        self._offsets[view], self._focal = offset + move[:6], self._focal + move[6:]
        return move


def refined(camera: Camera, correction: Tensor) -> Camera:
    """Return a camera corrected as in ``reference.corrected``; the pose stays rigid."""
    numbers = correction.numpy()
    motion, intrinsics = np.eye(4), camera.intrinsics.copy()
    motion[:3, :3] = Rotation.from_rotvec(numbers[3:6]).as_matrix()
    motion[:3, 3] = numbers[:3]
    intrinsics[[0, 1], [0, 1]] *= np.exp(numbers[6:])
    pose = camera.world_from_camera @ np.linalg.inv(motion)
    return replace(camera, world_from_camera=pose, intrinsics=intrinsics)


def _adam(slope: Tensor, state: tuple[Tensor, Tensor, int]) -> tuple[Tensor, tuple[Tensor, Tensor, int]]:
    first, second, steps = (
        0.9 * state[0] + 0.1 * slope,
        0.99 * state[1] + 0.01 * slope.square(),
        state[2] + 1,
    )
    scale = (second / (1 - 0.99**steps)).sqrt() + 1e-15
    return first / (1 - 0.9**steps) / scale, (first, second, steps)
