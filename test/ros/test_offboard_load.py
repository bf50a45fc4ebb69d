"""The robot's end of the link in this process, before a worker that answers when it is told to."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from reconx_msgs.msg import LinkState, WorkerCommand
from ros_journal import begin, keyframe, names

from reconx_ros.ros.journal import WHY_LEFT_OUT, Journal
from reconx_ros.ros.link_commands import WORKERS_OWN, AddKeyframe, Command, Load
from reconx_ros.ros.link_end import LinkEnd
from reconx_ros.ros.link_messages import command_from_message, reply_messages
from reconx_ros.ros.link_replies import Answer, Refused, Reply
from reconx_ros.ros.offboard import LinkSettings, OffboardWorker


class Far:
    """The worker's end of a link: notes commands, and replies what the test gives it."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.commands: list[Command] = []
        self.replies: deque[Reply] = deque()
        self._folder = folder
        self.end = LinkEnd(node, False, self._pull, self._take, self._hear, 0.0)
        self.end.worker = "far"
        self.end.start()

    def keyframes(self) -> list[str]:
        return [one.keyframe.name for one in self.commands if isinstance(one, AddKeyframe)]

    def _hear(self, state: LinkState) -> bool:
        self.end.outgoing.acknowledge(state.received)
        return bool(state.session == self.end.session)

    def _take(self, message: WorkerCommand) -> None:
        if message.session != self.end.session:
            self.end.session = message.session
            self.end.restart()
        if self.end.incoming.accept(message.sequence):
            self.commands.append(command_from_message(message, self._folder))

    def _pull(self, number: int) -> bytes | None:
        if not self.replies:
            return None
        (message,) = reply_messages(self.replies.popleft())
        message.session, message.worker, message.sequence = self.end.session, self.end.worker, number
        return bytes(serialize_message(message))


class Robot:
    """A robot's worker with its journal, and the far end."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.replies: list[Reply] = []
        self.journal = Journal(begin(), folder / "journal")
        self.far = Far(node, folder / "far")
        self.worker = OffboardWorker(
            node, self.replies.append, lambda _: None, self.journal, LinkSettings(), lambda: "map"
        )
        self.until(lambda: self.worker.link == "connected")

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, (self.far.commands, self.replies)
            time.sleep(0.01)

    def answered(self) -> list[Answer]:
        return [reply for reply in self.replies if isinstance(reply, Answer)]


@pytest.fixture
def robot(tmp_path: Path, context: None) -> Iterator[Robot]:
    node = rclpy.create_node("robot")
    made = Robot(tmp_path, node)
    yield made
    made.worker.kill()
    made.far.end.close()
    node.destroy_node()


def test_a_keyframe_that_came_after_a_load_is_sent_and_stays(robot: Robot) -> None:
    robot.worker.send(AddKeyframe(keyframe(0), "camera"))
    robot.worker.send(Load(7, Path("/maps/kitchen")))
    robot.until(lambda: any(isinstance(one, Load) for one in robot.far.commands))
    robot.worker.send(AddKeyframe(keyframe(1), "camera"))
    robot.far.replies.append(Answer(7, "ok", "loaded", "/maps/kitchen"))
    robot.until(lambda: bool(robot.answered()))
    robot.until(lambda: robot.far.keyframes() == ["000000", "000001"])
    assert names(robot.journal) == ["000001"]
    assert Load(0, Path("/maps/kitchen")) in list(robot.journal.replay())


def test_what_the_worker_saved_is_loaded_again_also_by_the_next(robot: Robot, tmp_path: Path) -> None:
    robot.worker.send(Load(7, WORKERS_OWN))
    robot.until(lambda: any(isinstance(one, Load) for one in robot.far.commands))
    assert Load(7, tmp_path / "far") in robot.far.commands
    robot.far.replies.append(Answer(7, "ok", "loaded", str(tmp_path / "far")))
    robot.until(lambda: bool(robot.answered()))
    assert Load(0, tmp_path / "far") in list(robot.journal.replay())


def test_a_load_that_fails_or_is_lost_with_its_worker_leaves_everything(robot: Robot) -> None:
    for request, index in ((7, 0), (8, 1)):
        robot.worker.send(AddKeyframe(keyframe(index), "camera"))
        robot.worker.send(Load(request, Path("/maps/kitchen")))
    robot.until(lambda: len(robot.far.keyframes()) == 2)
    robot.far.replies.append(Answer(7, "bad_map", "damaged"))
    robot.until(lambda: len(robot.answered()) == 1)
    robot.far.end.worker = "another"
    robot.until(lambda: len(robot.answered()) == 2)
    assert robot.answered()[1].code == "failed"
    assert names(robot.journal) == ["000000", "000001"]
    assert not any(isinstance(command, Load) for command in robot.journal.replay())


def test_what_workers_died_of_is_not_told_to_the_next(robot: Robot) -> None:
    for index in range(2):
        robot.worker.send(AddKeyframe(keyframe(index), "camera"))
    robot.until(lambda: len(robot.far.keyframes()) == 2)
    robot.far.replies.append(Refused("000000", WHY_LEFT_OUT))
    robot.far.replies.append(Refused("000001", "no depth"))
    robot.until(lambda: len(robot.replies) == 2)
    assert names(robot.journal) == ["000001"]
    assert robot.journal.left_out == ["000000"]
