"""The worker process for real: mapping, saving, being killed, coming back."""

import os
import queue
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ros_frames as frames
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.deltas import RowMirror
from reconx_ros.ros.link import (
    Activity,
    Added,
    AddKeyframe,
    Answer,
    Begin,
    Load,
    MapUpdate,
    Ready,
    Refused,
    Reply,
    Reset,
    Save,
    Stop,
)
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.rows import colors_of

OVERRIDES = {"splatting": {"steps": 10, "max_gaussians": 3000}, "geometry": {"method": "rgbd"}}
CONFIG = load_config("fast", overrides=OVERRIDES)


def keyframe(index: int, *, with_depth: bool = True) -> Keyframe:
    """A view of the wall and box, from 0.2 m further along x each time."""
    pose = np.eye(4)
    pose[0, 3] = 0.2 * index
    matrix = np.array([[frames.FOCAL, 0, 79.5], [0, frames.FOCAL, 59.5], [0, 0, 1]])
    camera = Camera(matrix, pose, frames.WIDTH, frames.HEIGHT)
    depth = frames.depth_metres() if with_depth else None
    return Keyframe(f"{index:06d}", 1000 + index, frames.picture(index), camera, depth)


def in_cells(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean colour of each cell of 8 x 8 pixels."""
    height, width = picture.shape[:2]
    return picture.astype(np.float64).reshape(height // 8, 8, width // 8, 8, 3).mean(axis=(1, 3))


class Bench:
    """A worker and what came from it."""

    def __init__(self, folder: Path) -> None:
        self.replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self.log: list[str] = []
        begin = Begin(CONFIG, min_keyframes=3, update_period_s=0.1, rescue=folder / "rescue")
        self.worker = OnboardWorker(begin, self.replies.put, self.log.append)
        self.folder = folder
        self.points, self.gaussians = RowMirror(), RowMirror()

    def next(self, kind: type | tuple[type, ...], timeout: float = 90.0) -> Reply:
        """Return the next reply of this kind."""
        deadline = time.monotonic() + timeout
        while True:
            reply = self.replies.get(timeout=max(deadline - time.monotonic(), 0.01))
            if isinstance(reply, MapUpdate):
                self.points.apply(reply.points)
                self.gaussians.apply(reply.gaussians)
            if isinstance(reply, kind):
                return reply

    def add(self, *indices: int) -> None:
        for index in indices:
            self.worker.send(AddKeyframe(keyframe(index), "camera"))

    def map_of(self, count: int) -> MapUpdate:
        """Return the first map of ``count`` keyframes."""
        while True:
            update = self.next(MapUpdate)
            assert isinstance(update, MapUpdate)
            if len(update.views) == count:
                return update

    def refined_map(self, count: int) -> MapUpdate:
        """Return the map of ``count`` keyframes that the worker comes to rest with."""
        latest = self.map_of(count)
        while True:
            reply = self.next((MapUpdate, Activity))
            if isinstance(reply, MapUpdate):
                latest = reply
            elif isinstance(reply, Activity) and not reply.stage:
                return latest


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.worker.kill()


def test_maps_points_in_the_optical_frame_and_a_map_in_the_world(bench: Bench) -> None:
    bench.add(0, 1)
    added = [bench.next(Added), bench.next(Added)]
    for index, reply in enumerate(added):
        assert isinstance(reply, Added)
        assert (reply.name, reply.stamp_ns, reply.camera_frame) == (f"{index:06d}", 1000 + index, "camera")
        # In the optical frame the wall is at its depth and the picture's corner on its ray.
        assert set(np.round(np.unique(reply.points["z"]), 3)) == {1.5, 2.0}
        corner = reply.points[np.argmin(reply.points["x"] + reply.points["y"])]
        assert corner["x"] / corner["z"] == pytest.approx(-79.5 / frames.FOCAL, abs=0.02)
        assert np.ptp(reply.points["confidence"]) > 0
    wanted = frames.picture(1)[0, 0]
    assert isinstance(reply, Added)
    assert np.abs(colors_of(reply.points[:1])[0].astype(int) - wanted).max() <= 1
    bench.add(2)
    update = bench.map_of(3)
    points, gaussians = bench.points.rows, bench.gaussians.rows
    assert points is not None
    assert gaussians is not None
    assert len(points) > 1000
    assert 0 < len(gaussians) <= 3000
    assert points["x"].max() > added[0].points["x"].max() + 0.3  # what the later views saw
    assert [stamp for stamp, _ in update.views] == [1000, 1001, 1002]


def test_save_reset_and_load(bench: Bench) -> None:
    bench.worker.send(Save(1, bench.folder / "early"))
    assert bench.next(Answer) == Answer(1, "no_map", "there is no map yet: no keyframe has come")
    bench.add(0)  # fewer than the first map needs, but enough to save
    bench.worker.send(Save(2, bench.folder / "map"))
    saved = bench.next(Answer)
    assert isinstance(saved, Answer)
    assert saved.code == "ok"
    files = {p.name for p in Path(saved.path).iterdir()}
    assert files >= {"cameras.json", "cloud.ply", "config.yaml", "map.ply", "report.json"}
    bench.worker.send(Save(3, Path("/dev/null/map")))
    bad = bench.next(Answer)
    assert isinstance(bad, Answer)
    assert bad.code == "bad_path"
    assert "/dev/null/map" in bad.message
    bench.worker.send(Reset(7))
    bench.worker.send(Load(4, bench.folder / "nothing"))
    missing = bench.next(Answer)
    assert isinstance(missing, Answer)
    assert missing.code == "no_map"
    bench.worker.send(Load(5, bench.folder / "map"))
    update = bench.next(MapUpdate)
    assert isinstance(update, MapUpdate)
    assert update.epoch == 7
    assert update.gaussians.complete
    assert update.gaussians.count > 0


def test_a_keyframe_without_geometry_is_refused_and_the_rest_is_mapped_and_shown(bench: Bench) -> None:
    bench.worker.send(AddKeyframe(keyframe(0, with_depth=False), "camera"))
    refused = bench.next(Refused)
    assert isinstance(refused, Refused)
    assert refused.name == "000000"
    assert "depth" in refused.why
    for index in (1, 2, 3):  # one view three times: a map that can be right everywhere
        view = replace(keyframe(0), name=f"{index:06d}", stamp_ns=index)
        bench.worker.send(AddKeyframe(view, "camera"))
    update = bench.refined_map(3)
    assert update.points.count > 1000
    # The preview is the newest keyframe as the map shows it: like its picture, unlike another.
    assert update.preview is not None
    assert update.preview_frame == "camera"
    # Compared in cells of 8 pixels, which 3000 Gaussians can show after a few steps.
    shown, same, other = (in_cells(picture) for picture in (update.preview, *map(frames.picture, (0, 7))))
    assert np.abs(shown - same).mean() < 0.3 * np.abs(shown - other).mean()
    assert bench.worker.behind == 0


def test_a_killed_worker_comes_back_and_knows_everything(bench: Bench) -> None:
    bench.add(0, 1, 2)
    bench.map_of(3)
    first = bench.worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while bench.worker.pid == first:
        time.sleep(0.02)
    assert bench.worker.state in ("lost", "starting")
    bench.add(3)  # arrives while there is no worker
    bench.next(Ready)
    assert bench.map_of(4).views[-1][0] == 1003
    assert bench.worker.pid not in (None, first)
    assert bench.log == [
        "the worker died (killed by signal 9); 3 keyframes are kept; a new one starts in 0.5 s"
    ]


def test_a_request_to_a_worker_that_dies_is_answered(bench: Bench) -> None:
    bench.next(Ready)
    pid = bench.worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    bench.worker.send(Save(9, bench.folder / "map"))
    os.kill(pid, signal.SIGKILL)
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert (answer.request, answer.code) == (9, "failed")
    assert "killed by signal 9" in answer.message


def test_when_the_node_is_gone_the_worker_saves_and_ends(bench: Bench) -> None:
    bench.add(0)
    bench.next(Added)
    child = bench.worker._child
    assert child is not None
    with socket.socket(fileno=os.dup(child._connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)  # what the end of the node's process does
    assert child.process.wait(60) == 0
    assert (bench.folder / "rescue" / "map.ply").is_file()


def test_interrupts_do_not_reach_the_worker_and_stop_saves(bench: Bench) -> None:
    bench.add(0)
    bench.next(Added)
    assert bench.worker.pid is not None
    os.kill(bench.worker.pid, signal.SIGINT)
    bench.add(1)
    bench.worker.send(Stop(3, bench.folder / "end"))
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert answer.code == "ok"
    assert (bench.folder / "end" / "map.ply").is_file()
    assert bench.worker.join(20)
    assert bench.worker.state == "stopped"
