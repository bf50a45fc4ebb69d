"""A simulated room filmed from places of the test's choice."""

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.keyframes.keyframe import Keyframe


@pytest.fixture(scope="session")
def room_views() -> list[Keyframe]:
    """Four views 20 to 25 cm apart that look across a furnished room, with their exact depth."""
    from reconx_ros.simulation.film import intrinsics, photograph
    from reconx_ros.simulation.paths import look_at
    from reconx_ros.simulation.rooms import room
    from reconx_ros.simulation.sensor import SensorNoise

    scene = room(0, 0.15, 4)
    eyes = np.array([[-0.45, -1.0, 1.4], [-0.2, -1.0, 1.5], [0.0, -0.9, 1.35], [0.2, -1.0, 1.45]])
    targets = np.array([[-0.3, 2.0, 1.0], [-0.2, 2.0, 0.9], [0.1, 2.0, 1.0], [0.0, 2.0, 1.0]])
    camera = Camera(intrinsics(400, 300), np.eye(4), 400, 300)
    return [
        photograph(scene, camera.moved(pose), SensorNoise(), number, 0, 0)
        for number, pose in enumerate(look_at(eyes, targets))
    ]
