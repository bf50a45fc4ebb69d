"""What is latched when a map is forgotten while it is being published."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from nav_msgs.msg import OccupancyGrid, Path
from rclpy.node import Node
from ros_helpers import listen, spin_until
from sensor_msgs.msg import PointCloud2

from reconx_ros.camera import Camera
from reconx_ros.ros.deltas import DeltaMaker
from reconx_ros.ros.link_replies import FieldUpdate, MapUpdate
from reconx_ros.ros.occupancy import GridSettings
from reconx_ros.ros.outputs import Outputs
from reconx_ros.ros.rows import CLOUD_TYPE, gaussian_type

CAMERA = Camera(np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]), np.eye(4), 64, 48)
FIELD = FieldUpdate(0, 7, np.zeros(3), 0.1, np.ones((2, 2, 2), np.float32))


def update(count: int = 1000) -> MapUpdate:
    """The first map of epoch 0."""
    points, gaussians = np.zeros(count, CLOUD_TYPE), np.zeros(count, gaussian_type(1))
    for rows in (points, gaussians):
        rows["id"] = np.arange(count)
        rows["confidence"] = 1.0
    points["x"] = np.linspace(0, 5, count)
    return MapUpdate(0, DeltaMaker().make(points), DeltaMaker().make(gaussians), ((7, CAMERA),), None)


class Latch:
    """What a late subscriber gets of each latched topic."""

    def __init__(self, node: Node) -> None:
        self.clouds = {
            name: listen(node, PointCloud2, f"/maker/{name}", late=True)
            for name in ("map_points", "generated_points", "gaussians", "distance_field")
        }
        self.path: list[Path] = listen(node, Path, "/maker/keyframes", late=True)
        self.grid: list[OccupancyGrid] = listen(node, OccupancyGrid, "/maker/occupancy_grid", late=True)
        everything = [*self.clouds.values(), self.path, self.grid]
        assert spin_until(node, lambda: all(everything))
        spin_until(node, lambda: False, 0.2)

    @property
    def empty(self) -> bool:
        sizes = [cloud[-1].width for cloud in self.clouds.values()] + [len(self.path[-1].poses)]
        return not any(sizes) and list(self.grid[-1].data) == [-1]


class Gate:
    """The parameter ``min_confidence``, which is asked for in the middle of publishing."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.open.set()

    def __call__(self) -> float:
        self.reached.set()
        assert self.open.wait(60)
        return 0.0


@pytest.fixture
def maker(context: None) -> Iterator[tuple[Outputs, Gate]]:
    node = rclpy.create_node("maker")
    gate = Gate()
    yield Outputs(node, gate, lambda: True, GridSettings(), field=True), gate
    node.destroy_node()


def test_a_map_that_is_forgotten_while_it_is_published_is_not_what_stays(
    ros: Node, maker: tuple[Outputs, Gate]
) -> None:
    outputs, gate = maker
    gate.open.clear()
    publishing = threading.Thread(target=outputs.map, args=(update(), "map"))
    publishing.start()
    assert gate.reached.wait(60)
    outputs.forget(1)  # returns although the other thread is not done
    assert publishing.is_alive()
    gate.open.set()
    publishing.join(60)
    outputs.field(FIELD, "map")  # of the map that is forgotten
    assert Latch(ros).empty
    whole = outputs.whole_gaussians()
    assert whole is None or whole.count == 0


def test_what_the_worker_gave_for_a_forgotten_map_is_not_published(
    ros: Node, maker: tuple[Outputs, Gate]
) -> None:
    outputs, _ = maker
    outputs.map(update(), "map")
    outputs.field(FIELD, "map")
    before = Latch(ros)
    assert not before.empty
    assert before.clouds["gaussians"][-1].width == 1000
    outputs.forget(1)
    version = outputs.version
    outputs.map(update(), "map")
    outputs.field(FIELD, "map")
    assert outputs.version == version
    assert Latch(ros).empty
    outputs.map(replace(update(10), epoch=1), "map")
    assert Latch(ros).clouds["gaussians"][-1].width == 10
