"""The worker on another machine, as the robot's node holds it: the same commands over a link that breaks.

Keyframes are in the journal, on disk, before they are sent, and stay there; while the link is broken
only their names wait. A worker that is new, or that lost its memory, is told the whole journal.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from rclpy.node import Node
from rclpy.serialization import serialize_message
from reconx_msgs.msg import LinkState, WorkerReply

from reconx_ros.errors import ReconxError
from reconx_ros.ros.asked import Asked
from reconx_ros.ros.journal import WHY_LEFT_OUT, Journal
from reconx_ros.ros.link_commands import REQUESTS, AddKeyframe, Command, Reset, Stop
from reconx_ros.ros.link_end import LinkEnd
from reconx_ros.ros.link_messages import PictureFormat, ReplyReader, command_message
from reconx_ros.ros.link_pictures import Picture
from reconx_ros.ros.link_replies import Activity, Added, Answer, Ready, Refused, Released, Reply
from reconx_ros.ros.outbox import Outbox

PATIENCE_S = 30.0
"""Seconds that a request waits for a link that has broken."""


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
        self._outbox = self._make_outbox(iter(()))
        self._broken_at: float | None = None
        self._served = self._ousted = False
        self._outstanding: set[str] = set()
        self._asked = Asked(journal)
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
        """Always 0: what the worker has not done waits on disk, and no frame is dropped for it."""
        return 0

    @property
    def unanswered(self) -> int:
        """Keyframes that the worker has not said to have taken in."""
        return len(self._outstanding)

    @property
    def waiting(self) -> int:
        """Commands that wait to be sent or acknowledged."""
        return len(self._outbox) + len(self.end.outgoing)

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
        if isinstance(command, AddKeyframe):
            self._journal.write(command)  # the disk may take its time: not while others wait
        with self._lock:
            if not refused:
                self._journal.note(command)
                if isinstance(command, AddKeyframe):
                    self._outstanding.add(command.keyframe.name)
                elif isinstance(command, Reset):
                    self._outstanding.clear()
                elif isinstance(command, REQUESTS):
                    self._asked.add(command)
                if self.end.worker:  # else the journal tells it all to the first worker that comes
                    self._outbox.put(command)
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

    def _make_outbox(self, first: Iterator[Command]) -> Outbox:
        """Return what is to be told: keyframes wait on disk, and the link bounds what is under way."""
        return Outbox(first, self._journal.fetch, self._lost, room=None, at_hand=0)

    def _lost(self, name: str) -> None:
        """Take note of a keyframe that waited and is gone: without a disk memory holds only so many."""
        self._outstanding.discard(name)
        self._received(Refused(name, "it waited for the link; without a journal memory holds only so many"))

    def _pull(self, number: int) -> bytes | None:
        """Return the next command for the link; one that cannot be packed is said and left out."""
        while (command := self._outbox.get(block=False)) is not None:
            try:
                message = command_message(command, self._world(), self._settings.pictures)
            except Exception as err:
                self._leave_out(command, f"{type(err).__name__}: {err}")
                continue
            message.session, message.worker, message.sequence = self.end.session, self.end.worker, number
            return bytes(serialize_message(message))
        return None

    def _leave_out(self, command: Command, why: str) -> None:
        if isinstance(command, AddKeyframe):
            self._outstanding.discard(command.keyframe.name)
            self._received(Refused(command.keyframe.name, why))
        elif isinstance(command, REQUESTS):
            answer = Answer(command.request, "failed", why)
            with self._lock:
                self._asked.settle(answer)
            self._received(answer)

    def _hear(self, state: LinkState) -> bool:
        """Take what a worker says about itself; return whether it is ours."""
        if state.worker != self.end.worker:
            if self.end.connected:
                return False  # another one; ours is there
            self._meet(state.worker)
        elif state.session == self.end.session:
            self._served, self._ousted = True, False
            self.end.outgoing.acknowledge(state.received)
        elif self._served:
            self._notice_ousted(state)
            return False
        return True

    def _notice_ousted(self, state: LinkState) -> None:
        """Say, once, that the worker has gone over to another robot."""
        if not self._ousted:
            self._ousted = True
            kept = f"{len(self._journal)} keyframes are kept"
            self._log(
                f"the worker ({state.worker[:8]}) serves another robot now; {kept}: give each robot a "
                "worker, in a namespace of its own, or start this node again"
            )

    def _meet(self, worker: str) -> None:
        """Tell a worker that we have not met everything."""
        again = bool(self.end.worker)
        with self._lock:
            self.restarts += again
            unanswered = self._asked.give_up()
            self.end.worker = worker
            self._outbox = self._make_outbox(self._journal.replay())
            self._served = self._ousted = False
            self._state = "starting"
            self.end.restart()
        self._refuse(unanswered, "the worker was started anew; ask again")
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
        if reply is not None:
            self._received(self._note(reply))

    def _note(self, reply: Reply) -> Reply:
        """Note what a reply says; return it, for ``Stop`` with the number of all keyframes left out."""
        if isinstance(reply, Added | Refused):
            self._outstanding.discard(reply.name)
        if isinstance(reply, Ready):
            self._state = "idle"
        elif isinstance(reply, Activity):
            self._state = "busy" if reply.stage else "idle"
        elif isinstance(reply, Released):
            with self._lock:
                self._journal.release(reply.names)
        elif isinstance(reply, Refused) and reply.why == WHY_LEFT_OUT:
            with self._lock:  # the next worker would die of it too
                self._journal.leave_out(reply.name)
        elif isinstance(reply, Answer):
            with self._lock:
                asked = self._asked.settle(reply)
            if isinstance(asked, Stop):
                return replace(reply, left=reply.left + self._outbox.left)
        return reply

    def _image_of(self, name: str) -> Picture | None:
        command = self._journal.fetch(name)
        return None if command is None else command.keyframe.image

    def _watch(self) -> None:
        """Say when the link breaks and when it is there again."""
        connected = self.end.connected and bool(self.end.worker)
        if connected != self._was_connected:
            self._was_connected = connected
            kept = f"{len(self._journal)} keyframes are kept"
            self._log("the link to the worker is there" if connected else f"the link is broken; {kept}")
            self._broken_at = None if connected else time.monotonic()
        if self._broken_at is not None and time.monotonic() - self._broken_at > PATIENCE_S:
            self._broken_at = None
            with self._lock:
                unanswered = self._asked.give_up()
            self._refuse(
                unanswered, f"the link to the worker has been broken for {PATIENCE_S:g} s; ask again"
            )

    def _refuse(self, requests: list[int], why: str) -> None:
        for request in requests:
            self._received(Answer(request, "failed", why))
