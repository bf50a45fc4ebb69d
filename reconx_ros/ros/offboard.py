"""The worker on another machine, as the robot's node holds it: the same commands over a link that breaks.

Keyframes are in the journal, on disk, before they are sent, and stay there; while the link is broken
only their names wait. A worker that is new, or that lost its memory, is told the whole journal.
"""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rclpy.node import Node
from rclpy.serialization import serialize_message
from reconx_msgs.msg import LinkState, WorkerReply

from reconx_ros.errors import ReconxError
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link import (
    Activity,
    AddKeyframe,
    Answer,
    Command,
    Load,
    Ready,
    Reply,
)
from reconx_ros.ros.link_end import LinkEnd
from reconx_ros.ros.link_messages import Picture, PictureFormat, ReplyReader, command_message
from reconx_ros.ros.onboard import REQUESTS


@dataclass(frozen=True)
class LinkSettings:
    """How the link is used.

    Attributes:
        bits_per_second: most that each end sends; 0 for no bound.
        pictures: how keyframes are compressed.
    """

    bits_per_second: float = 0.0
    pictures: PictureFormat = field(default_factory=PictureFormat)


class OffboardWorker:
    """Talks with ``reconx_worker`` on another machine; has the members of ``OnboardWorker``.

    Args:
        node: of the robot.
        received: called with every reply, in the link's thread.
        log: called with a line when the link breaks or is there again.
        journal: keeps keyframes and says what a worker has to be told.
        settings: of the link.
        world: gives the frame of the map.

    Attributes:
        restarts: workers met after the first.
    """

    def __init__(
        self,
        node: Node,
        received: Callable[[Reply], None],
        log: Callable[[str], None],
        journal: Journal,
        settings: LinkSettings,
        world: Callable[[], str],
    ) -> None:
        self.restarts = 0
        self._received, self._log, self._journal = received, log, journal
        self._settings, self._world = settings, world
        self._state, self._was_connected = "starting", False
        self._first: Iterator[Command] = iter(())
        self._waiting: deque[Command | str] = deque()  # keyframes by name
        self._requests: dict[int, Command] = {}
        self._lock = threading.Lock()
        self._reader = ReplyReader(self._image_of)
        self.end = LinkEnd(node, True, self._pull, self._take, self._hear, settings.bits_per_second)
        self.end.session = uuid.uuid4().hex
        self.end.start()

    @property
    def state(self) -> str:
        """``starting``, ``idle``, ``busy`` or ``lost`` (the link is broken)."""
        self._watch()
        if not self.end.worker:
            return "starting"
        return self._state if self.end.connected else "lost"

    @property
    def link(self) -> str:
        """``connected`` or ``broken``."""
        return "connected" if self.end.connected and self.end.worker else "broken"

    @property
    def behind(self) -> int:
        """Always 0: what the worker has not done waits on disk, and nothing is dropped for it."""
        return 0

    @property
    def waiting(self) -> int:
        """Commands that wait to be sent or acknowledged."""
        return len(self._waiting) + len(self.end.outgoing)

    @property
    def holds(self) -> bool:
        """Whether there is, or will be, a map."""
        return self._journal.holds

    @property
    def pid(self) -> None:
        """Nothing: the process is on another machine."""

    def send(self, command: Command) -> None:
        """Send a command; while the link is broken keyframes wait on disk and requests are refused."""
        refused = isinstance(command, REQUESTS) and self.link == "broken"
        with self._lock:
            if not refused:
                self._journal.note(command)
                if isinstance(command, REQUESTS):
                    self._requests[command.request] = command
                if self.end.worker:  # else the journal tells it all to the first worker that comes
                    self._waiting.append(self._light(command))
        if refused and isinstance(command, REQUESTS):
            kept = f"the link to the worker is broken; {len(self._journal)} keyframes are kept here"
            self._received(Answer(command.request, "failed", kept))

    def kill(self) -> None:
        """End the link; the worker goes on without us."""
        self.end.close()

    def join(self, timeout: float) -> bool:
        """End the link after ``Stop`` was answered."""
        self.end.close()
        return True

    def _light(self, command: Command) -> Command | str:
        """Return what waits in memory for a command: a keyframe is on disk, its name is enough."""
        return command.keyframe.name if isinstance(command, AddKeyframe) else command

    def _pull(self, number: int) -> bytes | None:
        """Return the next command for the link."""
        with self._lock:
            command = next(self._first, None)
            while command is None and self._waiting:
                waiting = self._waiting.popleft()
                command = self._journal.fetch(waiting) if isinstance(waiting, str) else waiting
        if command is None:
            return None
        message = command_message(command, self._world(), self._settings.pictures)
        message.session, message.worker, message.sequence = self.end.session, self.end.worker, number
        return bytes(serialize_message(message))

    def _hear(self, state: LinkState) -> bool:
        """Take what a worker says about itself; return whether it is ours."""
        if state.worker != self.end.worker:
            if self.end.connected:
                return False  # another one; ours is there
            self._meet(state.worker)
        elif state.session == self.end.session:
            self.end.outgoing.acknowledge(state.received)
        return True

    def _meet(self, worker: str) -> None:
        """Tell a worker that we have not met everything."""
        again = bool(self.end.worker)
        with self._lock:
            self.restarts += again
            self.end.worker = worker
            self._first = self._journal.replay()
            self._waiting.clear()
            unanswered, self._requests = self._requests, {}
            self._state = "starting"
            self.end.restart()
        for request in unanswered:
            self._received(Answer(request, "failed", "the worker was started anew; ask again"))
        self._was_connected = True
        whom = "a new worker" if again else "a worker"
        self._log(f"{whom} is there ({worker[:8]}); it is told {len(self._journal)} keyframes")

    def _take(self, message: WorkerReply) -> None:
        """Take a reply of the worker."""
        mine = message.session == self.end.session and message.worker == self.end.worker
        if not mine or not self.end.incoming.accept(message.sequence):
            return
        try:
            reply = self._reader.read(message)
        except ReconxError as err:
            self._log(str(err))
            return
        if isinstance(reply, Ready):
            self._state = "idle"
        elif isinstance(reply, Activity):
            self._state = "busy" if reply.stage else "idle"
        elif isinstance(reply, Answer):
            with self._lock:
                command = self._requests.pop(reply.request, None)
            if isinstance(command, Load) and reply.code == "ok":
                self._journal.loaded(command.folder)
        if reply is not None:
            self._received(reply)

    def _image_of(self, name: str) -> Picture | None:
        with self._lock:
            command = self._journal.fetch(name)
        return None if command is None else command.keyframe.image

    def _watch(self) -> None:
        """Say when the link breaks and when it is there again."""
        connected = self.end.connected and bool(self.end.worker)
        if connected != self._was_connected:
            self._was_connected = connected
            kept = f"{len(self._journal)} keyframes are kept"
            self._log("the link to the worker is there" if connected else f"the link is broken; {kept}")
