"""One node over Fast DDS, its camera in the test: corrections, deltas, boxes, goals, and being killed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Point
from nav_msgs.msg import OccupancyGrid
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from reconx_msgs.action import Reconstruct
from reconx_msgs.msg import CloudDelta, MapStatus
from reconx_msgs.srv import ClearBox, GetGaussians
from ros_camera import DrivingCamera, wall_x
from ros_helpers import Process, call, listen, ros_arguments, spin_until
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from reconx_ros.mapping.field_file import read_field
from reconx_ros.mapping.folder import load_map
from reconx_ros.ros.cloud_message import delta_from_message, from_message
from reconx_ros.ros.deltas import DeltaGapError, RowMirror

SETTINGS = """
keyframes: {image_width: 160, max_overlap: 1.0}
splatting: {steps: 40, max_gaussians: 4000, sh_degree: 1}
mapping: {submap_keyframes: 3}
"""


class Scene:
    """The node, a camera before it, and what came from it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "node.log"
        (folder / "settings.yaml").write_text(SETTINGS)
        self.node = rclpy.create_node("scene")
        self.camera = DrivingCamera(self.node)
        self.statuses: list[MapStatus] = listen(self.node, MapStatus, "/reconx/status")
        self.deltas: list[CloudDelta] = listen(self.node, CloudDelta, "/reconx/gaussians_delta")
        self.maps: list[PointCloud2] = listen(self.node, PointCloud2, "/reconx/map_points", late=True)
        self.process = self.start()

    def start(self) -> Process:
        arguments = ros_arguments(
            [],
            output=self.folder / "map",
            config_file=self.folder / "settings.yaml",
            min_keyframes=1,
            status_rate=5.0,
            map_period=0.2,
            occupancy_grid=True,
            grid_min_height=-0.7,
            distance_field=0.2,
            distance_field_radius=3.0,
        )
        return Process(["reconx_ros.ros.node", *arguments], self.log)

    def kill(self) -> None:
        """Kill the node, then forget what it said, the last of which is still on its way."""
        self.process.popen.kill()
        self.process.popen.wait()
        received: tuple[list[Any], ...] = (self.statuses, self.deltas, self.maps)
        heard = -1
        while heard != (heard := sum(map(len, received))):
            spin_until(self.node, lambda: False, 1.0)
        for one in received:
            one.clear()

    @property
    def keyframes(self) -> int:
        """Keyframes in the map."""
        return self.statuses[-1].keyframes if self.statuses else 0

    def until(self, done: Callable[[], bool], timeout: float = 60.0) -> None:
        assert spin_until(self.node, done, timeout), self.process.output

    def drive(self, places: list[float]) -> None:
        """Take a keyframe at each place and wait until it is in the map."""
        for index, y in enumerate(places):
            before = self.keyframes
            deadline = time.monotonic() + 60
            while self.keyframes <= before:
                self.camera.shoot(y, index)
                assert time.monotonic() < deadline, self.process.output
                spin_until(
                    self.node, lambda n=before: bool(self.statuses) and self.statuses[-1].keyframes > n, 2
                )

    def rest(self) -> None:
        """Wait until the map is refined to the end and has come here."""

        def resting() -> bool:
            last = self.statuses[-1]
            return last.worker == "idle" and last.queue == 0 and self.deltas[-1].version == last.map_version

        self.until(lambda: bool(self.statuses) and bool(self.deltas) and resting(), 90)

    def points(self) -> np.ndarray:
        return from_message(self.maps[-1])


@pytest.fixture(scope="module")
def scene(context: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("live"))
    try:
        assert made.camera.wait(), made.process.output
        made.until(
            lambda: bool(made.statuses) and made.statuses[-1].worker == "idle", 240
        )  # it may compile first
        made.drive([0.0, 0.4, 0.8, 1.2])
        made.rest()
        yield made
    finally:
        made.process.popen.kill()
        made.process.popen.wait()
        made.node.destroy_node()


def test_deltas_and_the_latched_map_agree_and_a_late_joiner_ends_up_right(scene: Scene) -> None:
    mirror = RowMirror()
    for message in scene.deltas:  # heard from its first on
        mirror.apply(delta_from_message(message))
    whole = call(scene.node, GetGaussians, "/reconx/get_gaussians")
    assert whole.success
    assert whole.gaussians.version == mirror.version
    late = RowMirror()
    with pytest.raises(DeltaGapError):
        late.apply(delta_from_message(scene.deltas[-1]))
    late.apply(delta_from_message(whole.gaussians))
    assert late.rows is not None and mirror.rows is not None
    assert (late.rows == mirror.rows).all()  # by field: the bytes between them mean nothing
    latest = listen(scene.node, PointCloud2, "/reconx/gaussians", late=True)
    scene.until(lambda: bool(latest))
    assert (from_message(latest[-1]) == mirror.rows).all()
    assert sum(len(d.changed.data) for d in scene.deltas[1:]) > 0


def test_generated_points_are_apart_and_the_floor_plan_is_there(scene: Scene) -> None:
    generated = listen(scene.node, PointCloud2, "/reconx/generated_points", late=True)
    plans = listen(scene.node, OccupancyGrid, "/reconx/occupancy_grid", late=True)
    scene.until(lambda: bool(generated) and bool(plans))
    assert generated[-1].width == 0
    plan = plans[-1]
    cells = np.array(plan.data).reshape(plan.info.height, plan.info.width)
    rows, columns = np.nonzero(cells == 100)
    places = plan.info.origin.position.x + (columns + 0.5) * plan.info.resolution
    assert set(np.round(places, 1)) <= {1.4, 1.5, 1.6, 1.9, 2.0, 2.1}  # the box and the wall
    assert len(rows) > 10


def test_a_least_confidence_is_heeded_while_the_map_rests(scene: Scene) -> None:
    scene.rest()
    before, maps = scene.points(), len(scene.maps)
    median = float(np.median(before["confidence"]))

    def require(least: float) -> None:
        value = Parameter("min_confidence", value=least).to_parameter_msg()
        answer = call(scene.node, SetParameters, "/reconx/set_parameters", parameters=[value])
        assert answer.results[0].successful

    require(median)
    scene.until(lambda: len(scene.maps) > maps, 10)
    assert scene.points()["confidence"].min() >= np.float32(median)
    require(0.0)
    scene.until(lambda: len(scene.points()) == len(before), 10)


def test_when_map_to_odom_jumps_the_map_moves_along(scene: Scene) -> None:
    before = scene.points()
    scene.camera.map_from_odom = (1.0, 0.0, 0.0)
    for _ in range(20):
        scene.camera.tell_pose(1.2)
        spin_until(scene.node, lambda: False, 0.05)
    scene.until(lambda: wall_x(scene.points()) > 2.9)
    scene.rest()
    after = scene.points()
    # A metre after 1.2 m of way is no drift: everything moves.
    assert wall_x(after) - wall_x(before) == pytest.approx(1.0, abs=0.02)
    assert len(after) == pytest.approx(len(before), rel=0.02)
    assert scene.statuses[-1].corrections == 1
    scene.process.wait_for("trajectory corrected: 4 keyframes move")
    count = scene.statuses[-1].keyframes
    scene.drive([1.6])
    scene.rest()
    assert scene.statuses[-1].keyframes == count + 1
    # New views fall onto the moved map: no second wall.
    assert np.ptp(np.percentile(scene.points()["x"], [50, 95])) < 0.55


def test_a_box_is_cleared_and_bad_ones_are_refused(scene: Scene) -> None:
    low, high = Point(x=2.3, y=-9.0, z=-9.0), Point(x=2.8, y=9.0, z=9.0)  # the box, not the wall

    def inside() -> int:
        x = scene.points()["x"]
        return int(((x > 2.3) & (x < 2.8)).sum())

    assert inside() > 100
    done = call(scene.node, ClearBox, "/reconx/clear_box", min=low, max=high)
    assert done.success, done.message
    assert done.removed >= 100
    scene.until(lambda: inside() == 0)
    empty = call(scene.node, ClearBox, "/reconx/clear_box", min=high, max=low)
    assert not empty.success
    assert "must not be above max" in empty.message
    lost = call(scene.node, ClearBox, "/reconx/clear_box", frame_id="attic", min=low, max=high)
    assert not lost.success
    assert "attic" in lost.message
    near = call(
        scene.node, ClearBox, "/reconx/clear_box", frame_id="base_link",
        min=Point(x=-0.5, y=-0.5, z=-0.5), max=Point(x=0.5, y=0.5, z=0.5),
    )  # fmt: skip
    assert near.success
    assert near.removed == 0


def goal(scene: Scene, cancel_after: int | None = None, **fields: object) -> tuple[Any, list[Any]]:
    """Send a goal; return its result and its feedback."""
    client = ActionClient(scene.node, Reconstruct, "/reconx/reconstruct")
    told: list[Any] = []
    assert client.wait_for_server(20)
    sent = client.send_goal_async(Reconstruct.Goal(**fields), lambda m: told.append(m.feedback))
    scene.until(sent.done)
    handle = sent.result()
    assert handle.accepted
    if cancel_after is not None:
        scene.until(lambda: len(told) >= cancel_after)
        scene.until(handle.cancel_goal_async().done)
    finished = handle.get_result_async()
    scene.until(finished.done, 120)
    client.destroy()
    return finished.result().result, told


def test_the_distance_field_round_the_robot_is_there_for_who_comes_late(scene: Scene) -> None:
    fields: list[PointCloud2] = listen(scene.node, PointCloud2, "/reconx/distance_field", late=True)

    def distances() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the newest field tells distances [N, 3], those [N], and those to the newest map [N]."""
        rows, points = from_message(fields[-1]), from_message(scene.maps[-1])
        centres, surface = (np.stack([cloud[axis] for axis in "xyz"], axis=1) for cloud in (rows, points))
        return centres, rows["intensity"], cKDTree(surface).query(centres)[0]

    def follows() -> bool:
        """Whether the field is of the newest map: it may come later."""
        _, told, nearest = distances()
        return bool((np.abs(told - nearest)[told > 0] < 0.2).all())

    scene.until(lambda: bool(fields) and follows())
    centres, told, nearest = distances()
    assert fields[-1].header.frame_id == scene.maps[-1].header.frame_id
    assert (np.abs(centres - centres.mean(axis=0)) < 6.0).all()  # a box, not the map
    assert (told > 0).sum() > 100
    assert not (told > 0).all()
    assert (nearest[told <= 0] < 0.2 * 3**0.5).all()


def test_a_goal_refines_with_feedback_and_can_be_cancelled(scene: Scene) -> None:
    where = scene.folder / "refined"
    result, told = goal(scene, steps=60, output=str(where))
    assert (result.code, result.success) == (Reconstruct.Result.OK, True), result.message
    assert result.gaussians == len(load_map(where)) > 1000
    assert read_field(where / "distance_field.npz").voxel_size == pytest.approx(0.2)
    shares = [one.fraction for one in told if one.stage == "splatting"]
    assert shares
    assert max(shares) <= 1
    result, _ = goal(scene, cancel_after=2, steps=1_000_000, output=str(scene.folder / "half"))
    assert result.code == Reconstruct.Result.CANCELED
    assert load_map(scene.folder / "half")


def test_a_goal_reconstructs_a_recording_or_says_why_not(scene: Scene, small_bag: Path) -> None:
    result, _ = goal(scene, source=str(small_bag), steps=5, output=str(scene.folder / "bag"))
    assert result.code == Reconstruct.Result.OK, result.message
    assert load_map(scene.folder / "bag")
    missing, _ = goal(scene, source="/nowhere", output=str(scene.folder / "bag"))
    assert missing.code == Reconstruct.Result.BAD_GOAL
    assert "/nowhere" in missing.message
    preset, _ = goal(scene, preset="best")
    assert preset.code == Reconstruct.Result.BAD_GOAL
    assert "best" in preset.message


def test_a_killed_node_goes_on_with_everything_it_had(scene: Scene) -> None:
    before = scene.statuses[-1].keyframes
    x = wall_x(scene.points())
    scene.kill()
    scene.process = scene.start()
    scene.process.wait_for(f"going on with its {before} keyframes", 90)
    scene.until(lambda: scene.keyframes == before, 90)
    scene.until(lambda: bool(scene.maps))
    rows = scene.points()
    assert wall_x(rows) == pytest.approx(x, abs=0.02)  # corrected as it was
    assert not ((rows["x"] > 2.3) & (rows["x"] < 2.8)).any()  # and cleared
    scene.drive([2.0])
    assert scene.statuses[-1].keyframes == before + 1


def test_reset_is_told_to_followers_and_a_clean_end_leaves_no_journal(scene: Scene) -> None:
    assert (scene.folder / "map" / "journal" / "journal.jsonl").is_file()
    assert call(scene.node, Trigger, "/reconx/reset").success
    scene.until(lambda: scene.deltas[-1].count == 0 and scene.statuses[-1].keyframes == 0)
    assert scene.deltas[-1].base_version == 0
    clouds = ("map_points", "generated_points", "gaussians", "distance_field")
    late = {name: listen(scene.node, PointCloud2, f"/reconx/{name}", late=True) for name in clouds}
    grids: list[OccupancyGrid] = listen(scene.node, OccupancyGrid, "/reconx/occupancy_grid", late=True)
    scene.until(lambda: all(late.values()) and bool(grids))
    assert [cloud[-1].width for cloud in late.values()] == [0, 0, 0, 0]
    assert list(grids[-1].data) == [-1]
    scene.drive([2.4])
    scene.rest()
    assert scene.process.interrupt() == 0
    scene.process.wait_for("1 keyframes saved to")
    assert not (scene.folder / "map" / "journal").exists()
    assert not (scene.folder / "map" / "submaps").exists()
