"""The end of a session, however it comes: nobody waits for ever, and nothing stays behind."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from reconx_msgs.msg import MapStatus
from reconx_msgs.srv import SaveMap
from ros_bench import keyframe
from ros_helpers import Process, call, listen, ros_arguments, spin_until
from ros_scene import SETTINGS, Scene, children

from reconx_ros.config import load_config
from reconx_ros.errors import ReconxError
from reconx_ros.ros import ending, openings
from reconx_ros.ros import node as node_module
from reconx_ros.ros.folder_lock import FolderLock
from reconx_ros.ros.link_commands import WORKERS_OWN, AddKeyframe, ClearBox, Command, Load, Save
from reconx_ros.ros.link_replies import Answer
from reconx_ros.ros.node import ReconxNode
from reconx_ros.ros.parameters import declare, read
from reconx_ros.ros.session import Session


@pytest.fixture
def scene(ros: Node, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, ros)
    try:
        assert made.camera.wait(60), made.process.output
        made.until(lambda: bool(made.statuses) and made.last.worker == "idle", 480)  # it may compile first
        made.one_more()
        yield made
    finally:
        made.process.popen.kill()
        made.process.popen.wait()


def open_session(folder: Path, **parameters: object) -> Session:
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS)
    values = {"output": str(folder / "map"), "config_file": str(settings), **parameters}
    node = Node("ended", parameter_overrides=[Parameter(name, value=v) for name, v in values.items()])
    declare(node)
    return Session(node, read(node), load_config("fast", settings))


def wait(done: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_who_asks_while_the_node_is_cleaned_up_is_answered_and_the_node_lives(scene: Scene) -> None:
    (worker,) = children(scene.process.popen.pid)
    save = scene.node.create_client(SaveMap, "/reconx/save_map")
    change = scene.node.create_client(ChangeState, "/reconx/change_state")
    assert save.wait_for_service(30) and change.wait_for_service(30)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    scene.until(change.call_async(request).done)
    os.kill(worker, signal.SIGSTOP)  # so that the question is still open when the end comes
    asked = save.call_async(SaveMap.Request(path=str(scene.folder / "asked")))
    spin_until(scene.node, lambda: False, 0.5)
    request.transition.id = Transition.TRANSITION_CLEANUP
    ended = change.call_async(request)
    spin_until(scene.node, lambda: False, 0.5)
    os.kill(worker, signal.SIGCONT)
    scene.until(lambda: asked.done() and ended.done(), 60)
    assert asked.result().success, asked.result().message
    assert ended.result().success
    state = call(scene.node, GetState, "/reconx/get_state").current_state.id
    assert state == State.PRIMARY_STATE_UNCONFIGURED
    late = call(scene.node, SaveMap, "/reconx/save_map")
    assert (late.success, late.message) == (
        False,
        "the node is not configured: there is no map and no worker",
    )
    assert scene.process.interrupt() == 0, scene.process.output
    assert "Traceback" not in scene.process.output


def test_a_map_that_cannot_be_saved_at_the_end_is_an_error(ros: Node, tmp_path: Path) -> None:
    (tmp_path / "map").write_text("no folder")
    scene = Scene(tmp_path, ros)
    try:
        assert scene.camera.wait(60), scene.process.output
        scene.one_more()
        assert scene.process.interrupt() == 2, scene.process.output
        why = f"output folder {tmp_path / 'map'} is not writable: File exists; no keyframes are kept"
        scene.process.wait_for(why)
        assert "Traceback" not in scene.process.output
    finally:
        scene.process.popen.kill()
        scene.process.popen.wait()


def test_a_session_may_end_well_and_the_next_badly(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ReconxNode()
    for answer in (Answer(1, "ok", "saved"), Answer(2, "failed", "not saved")):
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        monkeypatch.setattr(Session, "_finish", lambda *_, a=answer: a)
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        monkeypatch.undo()
    node.destroy_node()


def test_who_asks_when_the_node_is_interrupted_is_answered(scene: Scene) -> None:
    (worker,) = children(scene.process.popen.pid)
    save = scene.node.create_client(SaveMap, "/reconx/save_map")
    assert save.wait_for_service(30)
    os.kill(worker, signal.SIGSTOP)
    asked = save.call_async(SaveMap.Request(path=str(scene.folder / "asked")))
    spin_until(scene.node, lambda: False, 0.5)
    scene.process.popen.send_signal(signal.SIGINT)
    spin_until(scene.node, lambda: False, 0.5)
    os.kill(worker, signal.SIGCONT)
    scene.until(asked.done, 60)
    assert asked.result().success
    assert scene.process.popen.wait(60) == 0, scene.process.output


@pytest.mark.parametrize("place", ["onboard", "offboard"])
def test_a_request_without_a_folder_means_that_of_the_worker(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    session = open_session(tmp_path, worker=place)
    sent: list[Command] = []
    monkeypatch.setattr(session.worker, "send", sent.append)
    session.requests.save("", lambda _: None)
    session.requests.load("", lambda _: None)
    monkeypatch.undo()
    session.finish(False)
    own = session.folder if place == "onboard" else WORKERS_OWN
    assert sent == [Save(1, own), Load(2, own)]


def test_a_worker_that_hangs_is_killed_and_the_folder_free(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(tmp_path)
    wait(lambda: session.worker.pid is not None)
    pid = session.worker.pid
    assert pid is not None
    session.worker.send(AddKeyframe(keyframe(0), "camera"))
    os.kill(pid, signal.SIGSTOP)
    answers: list[str] = []
    session.requests.save("", lambda answer: answers.append(answer.code))
    monkeypatch.setattr(ending, "END_S", 1.0)
    began = time.monotonic()
    answer = session.finish(True)
    assert time.monotonic() - began < 20
    assert answer.code == "failed"
    assert answer.message.startswith("the worker did not answer in 1 s; 1 keyframes are kept in ")
    assert answers == ["failed"]
    assert not Path(f"/proc/{pid}").exists()
    assert len(list((tmp_path / "map" / "journal").glob("*.keyframe"))) == 1
    FolderLock(tmp_path / "map").release()


def test_who_ends_a_worker_that_has_only_just_started_is_told_where_the_keyframes_are(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(tmp_path)
    wait(lambda: session.worker.pid is not None)
    pid = session.worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it imports
    session.worker.send(AddKeyframe(keyframe(0), "camera"))
    monkeypatch.setattr(ending, "CATCH_UP_S", 0.0)
    answers: list[Answer] = []
    end = threading.Thread(target=lambda: answers.append(session.finish(True)))
    end.start()
    time.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    end.join(60)
    (answer,) = answers
    assert answer.code == "no_map"
    rest = "1 keyframes are not in it and stay in the journal: start again with this output"
    assert answer.message == f"there is no map yet; {rest}"
    assert len(list((tmp_path / "map" / "journal").glob("*.keyframe"))) == 1


def test_a_disk_that_hangs_is_waited_for_before_others_get_the_folder(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(tmp_path)
    goes_on, real = threading.Event(), os.fsync

    def hang(handle: int) -> None:
        assert goes_on.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", hang)
    monkeypatch.setattr(ending, "END_S", 1.0)
    session.worker.send(ClearBox(1, np.zeros(3), np.ones(3), np.eye(4)))  # a line for the journal
    end = threading.Thread(target=session.finish, args=(True,))
    end.start()
    end.join(3.0)
    assert end.is_alive()
    with pytest.raises(ReconxError, match="is in use"):
        FolderLock(tmp_path / "map")
    goes_on.set()
    end.join(60)
    assert not end.is_alive()
    FolderLock(tmp_path / "map").release()


def test_a_session_that_cannot_begin_leaves_nothing(
    context: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ReconxError, match="gsplat_msgs"):
        open_session(tmp_path, rviz_splats=True)
    FolderLock(tmp_path / "map").release()

    def fail(*_: object) -> None:
        raise OSError("no more threads")

    monkeypatch.setattr(openings, "OnboardWorker", fail)
    with pytest.raises(OSError, match="no more threads"):
        open_session(tmp_path)
    FolderLock(tmp_path / "map").release()
    assert children(os.getpid()) == []


def test_a_defect_in_a_transition_ends_the_session_and_the_node_can_begin_again(
    context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ReconxNode()
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(node_module, "Inputs", fail)
        assert node.trigger_activate() == TransitionCallbackReturn.ERROR
    assert node.session is None
    assert children(os.getpid()) == []
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
    assert children(os.getpid()) == []
    node.destroy_node()


def test_status_and_diagnostics_are_told_from_configure_on(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    node = launch(
        "reconx_ros.ros.node",
        *ros_arguments(["__node:=told"], output=tmp_path / "map", autostart=False, status_rate=5.0),
    )
    statuses: list[MapStatus] = listen(ros, MapStatus, "/told/status")
    levels: list[DiagnosticArray] = listen(ros, DiagnosticArray, "/diagnostics")
    node.wait_for("waiting to be configured")

    def change(transition: int) -> None:
        assert call(ros, ChangeState, "/told/change_state", transition=Transition(id=transition)).success

    change(Transition.TRANSITION_CONFIGURE)
    assert spin_until(ros, lambda: bool(statuses) and bool(levels)), node.output
    assert statuses[-1].state == levels[-1].status[0].message == "inactive"
    change(Transition.TRANSITION_ACTIVATE)
    assert spin_until(ros, lambda: statuses[-1].state == "waiting", 30)
    change(Transition.TRANSITION_DEACTIVATE)
    assert spin_until(ros, lambda: statuses[-1].state == "inactive", 30)
    assert node.interrupt() == 0, node.output
