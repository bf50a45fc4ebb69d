"""The robot's end of the link, told things directly: who works for whom, and what is given up."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from reconx_msgs.msg import LinkState
from ros_bench import keyframe

from reconx_ros.config import load_config
from reconx_ros.ros import offboard
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import AddKeyframe, Begin, Command, Save, Stop
from reconx_ros.ros.link_replies import Answer, Refused, Reply
from reconx_ros.ros.offboard import LinkSettings, OffboardWorker


class Robot:
    """A robot's end, and what it says."""

    def __init__(self, journal: Path | None) -> None:
        self.node = rclpy.create_node("robot")
        self.replies: list[Reply] = []
        self.log: list[str] = []
        begin = Begin(load_config("fast", overrides={"keyframes": {"capacity": 2}}))
        self.worker = OffboardWorker(
            self.node,
            self.replies.append,
            self.log.append,
            Journal(begin, journal, self.log.append),
            LinkSettings(),
            lambda: "map",
        )

    def hear(self, worker: str, session: str) -> bool:
        return self.worker._hear(LinkState(worker=worker, session=session))

    def meet(self) -> None:
        """Be heard by a worker that serves us from now on, and then be silent: nothing is sent."""
        assert self.hear("one", "")
        assert self.hear("one", self.worker.end.session)

    def connect(self) -> None:
        """Meet a worker that goes on talking."""
        self.meet()
        self.worker.end._last_heard = time.monotonic()

    def close(self) -> None:
        self.worker.kill()
        self.node.destroy_node()


@pytest.fixture
def robot(context: None, tmp_path: Path) -> Iterator[Robot]:
    made = Robot(tmp_path / "journal")
    yield made
    made.close()


def test_a_robot_whose_worker_serves_another_says_so_once_and_is_not_connected(robot: Robot) -> None:
    assert robot.hear("one", "of an earlier robot")  # it may become ours
    robot.connect()
    said = len(robot.log)
    assert not robot.hear("one", "of a later robot")
    assert not robot.hear("one", "of a later robot")
    assert len(robot.log) == said + 1
    assert robot.log[-1].startswith("the worker (one) serves another robot now; 0 keyframes are kept")


def test_a_request_is_given_up_when_the_link_stays_broken(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.connect()
    robot.worker.send(Save(4, Path("map")))
    assert not [reply for reply in robot.replies if isinstance(reply, Answer)]
    robot.worker.end._last_heard = -float("inf")
    assert robot.worker.state == "lost"
    assert not [reply for reply in robot.replies if isinstance(reply, Answer)]
    monkeypatch.setattr(offboard, "PATIENCE_S", 0.0)
    time.sleep(0.01)
    assert robot.worker.state == "lost"
    (answer,) = (reply for reply in robot.replies if isinstance(reply, Answer))
    assert (answer.request, answer.code) == (4, "failed")
    assert "has been broken for 0 s; ask again" in answer.message


def test_what_cannot_be_packed_is_answered_and_the_next_goes(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = offboard.command_message

    def fail(command: Command, *rest: object) -> object:
        if isinstance(command, Save):
            raise ValueError("no")
        return pack(command, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(offboard, "command_message", fail)
    robot.meet()
    for number in range(3):  # what brings the worker up to date
        assert robot.worker._pull(number) is not None
    robot.worker._outbox.put(Save(4, Path("map")))
    robot.worker._asked.add(Save(4, Path("map")))
    robot.worker._outbox.put(Stop(5, None))
    assert robot.worker._pull(3) is not None
    assert robot.worker._pull(4) is None
    assert robot.replies == [Answer(4, "failed", "ValueError: no")]


def test_without_a_journal_what_had_to_leave_memory_is_named(context: None) -> None:
    robot = Robot(None)
    try:
        robot.meet()
        for number in range(3):
            assert robot.worker._pull(number) is not None
        for index in range(4):
            robot.worker.send(AddKeyframe(keyframe(index), "camera"))
        assert robot.worker.unanswered == 4
        sent = 0
        while robot.worker._pull(3 + sent) is not None:
            sent += 1
        assert sent == robot.worker.unanswered == 2  # as many as memory holds
        assert len([reply for reply in robot.replies if isinstance(reply, Refused)]) == 2
    finally:
        robot.close()
