"""A network that knows the truth of a simulated room, and what can be wrong with its answers."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.geometry.dust3r.model import Architecture, PairOutput
from reconx_ros.geometry.dust3r.preprocess import window_of
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.simulation.scene import Scene

Floats = NDArray[np.float32]
Pair = tuple[int, int]


class Oracle:
    """Predicts exactly, each pair at a scale of its own, from what the scene looks like to the network.

    Attributes:
        world: what each view sees, [h, w, 3] on the pixels of the network's image.
        asked: the pairs that were predicted.
        spoil: is given a pair, both pointmaps in the frame of its first view and both confidences, and may
            change them in place.
    """

    architecture, place = Architecture(resolution=96), "nowhere"

    def __init__(self, scene: Scene, views: Sequence[Keyframe]) -> None:
        self.world: list[NDArray[np.float64]] = []
        self.images: list[Floats] = []
        self.views, self.asked = list[Keyframe](), list[Pair]()
        self.spoil: Callable[[Pair, list[Floats], list[Floats]], None] = lambda *_: None
        for view in views:
            self.add(scene, view)

    def add(self, scene: Scene, view: Keyframe) -> None:
        """Let it know one more view."""
        from reconx_ros.simulation.film import photograph
        from reconx_ros.simulation.sensor import SensorNoise

        window = window_of(view, self.architecture)
        camera = window.camera(view.camera)
        depth = photograph(scene, camera, SensorNoise(), 0, 0, 0).depth
        assert depth is not None
        self.views.append(view)
        self.images.append(window.image(view.image))
        self.world.append(camera.unproject(depth).astype(np.float64))

    def predict(self, images: Sequence[Floats], pairs: Sequence[Pair]) -> Iterator[tuple[Pair, PairOutput]]:
        who = [next(n for n, own in enumerate(self.images) if np.array_equal(own, i)) for i in images]
        for number, pair in enumerate(pairs):
            first, second = (who[row] for row in pair)
            self.asked.append((first, second))
            into, scale = self.views[first].camera.camera_from_world, 0.5 + 0.1 * (number % 7)
            points = [
                (scale * (self.world[v] @ into[:3, :3].T + into[:3, 3])).astype(np.float32)
                for v in (first, second)
            ]
            sure = [np.full(p.shape[:2], 6, np.float32) for p in points]
            self.spoil((first, second), points, sure)
            one, two = (tuple(torch.from_numpy(part) for part in both) for both in (points, sure))
            yield pair, PairOutput((one[0], one[1]), (two[0], two[1]))
