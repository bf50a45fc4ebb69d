"""The worker process for real: mapping, saving, resetting, ending."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ros_frames as frames
from ros_bench import OVERRIDES, Bench, in_cells, keyframe

from reconx_ros.config import load_config
from reconx_ros.ros.link_commands import (
    AddKeyframe,
    Begin,
    Cancel,
    Correct,
    Load,
    Pause,
    Reconstruct,
    Reset,
    Save,
    Stop,
)
from reconx_ros.ros.link_replies import Added, Answer, MapUpdate, Ready, Refused, Trouble
from reconx_ros.ros.rows import colors_of


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


def test_what_the_worker_warns_of_comes_to_the_node_and_nothing_of_its_warm_up(bench: Bench) -> None:
    bench.add(0, 1, 2)
    first = bench.next((Trouble, Ready))
    assert isinstance(first, Ready), first
    trouble = bench.next(Trouble)
    assert isinstance(trouble, Trouble)
    assert "the cap of 3000" in trouble.line


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


def test_nobody_waits_while_a_keyframe_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs: the thread that has the keyframe waits, the executor does not."""
    sleeps = (sys.executable, "-c", "import time; time.sleep(60)")
    bench = Bench(tmp_path, journal=tmp_path / "journal", program=sleeps)
    writing, goes_on, real = threading.Event(), threading.Event(), os.fsync

    def hang(handle: int) -> None:
        writing.set()
        assert goes_on.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", hang)
    thread = threading.Thread(target=bench.add, args=(0,))
    thread.start()
    assert writing.wait(60)
    for command in (Pause(True), Correct((), np.empty((0, 4, 4))), Reset(1), Save(1, tmp_path)):
        bench.worker.send(command)
    assert thread.is_alive()
    goes_on.set()
    thread.join(60)
    assert not thread.is_alive()
    told = [type(command) for command in bench.worker._journal.replay()]
    assert told == [Begin, Reset, Pause, AddKeyframe]  # it came after the reset
    bench.worker.kill()


def test_cancel_and_stop_are_not_stuck_behind_keyframes(bench: Bench) -> None:
    """A hundred keyframes come while a goal is worked on, more than ever are under way."""
    goal = Reconstruct(5, None, load_config("fast", overrides=OVERRIDES), 1_000_000, bench.folder / "goal")
    bench.add(0)
    bench.next(Added)
    bench.worker.send(goal)
    bench.add(*range(1, 101))
    time.sleep(1.0)
    bench.worker.send(Cancel(5))
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert (answer.request, answer.code) == (5, "canceled")
    bench.next(Added)  # and now the keyframes are taken in
    bench.worker.send(Stop(6, bench.folder / "end"))
    began = time.monotonic()
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert (answer.request, answer.code) == (6, "ok")
    assert time.monotonic() - began < 60
    assert 50 < answer.left < 100


def test_reset_takes_the_place_of_keyframes_that_wait(bench: Bench) -> None:
    bench.add(*range(60))
    bench.next(Added)
    bench.worker.send(Reset(1))
    bench.add(60)
    added = bench.next(Added)
    while isinstance(added, Added) and added.epoch == 0:
        assert added.name < "000059"
        added = bench.next(Added)
    assert isinstance(added, Added)
    assert (added.epoch, added.name) == (1, "000060")
    assert bench.worker.behind == 0


def test_interrupts_do_not_reach_the_worker_and_stop_saves(bench: Bench) -> None:
    bench.add(0)
    bench.next(Added)
    assert bench.worker.pid is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # of a terminal, of whoever ends a service
        os.kill(bench.worker.pid, number)
    bench.add(1)
    bench.worker.send(Stop(3, bench.folder / "end"))
    answer = bench.next(Answer)
    assert isinstance(answer, Answer)
    assert answer.code == "ok"
    assert (bench.folder / "end" / "map.ply").is_file()
    assert bench.worker.join(20)
    assert bench.worker.state == "stopped"
