"""What comes back from the worker: published, noted, and answers brought to those who asked."""

import itertools
import threading
from collections.abc import Callable
from typing import TypeVar

import rclpy

from reconx_ros.ros.complaints import Complaints, alike
from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.deltas import DeltaGapError
from reconx_ros.ros.link_replies import (
    Activity,
    Added,
    Answer,
    FieldUpdate,
    MapUpdate,
    Refused,
    Released,
    Reply,
    Trouble,
)
from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.outputs import Outputs

Part = TypeVar("Part", Added, MapUpdate, FieldUpdate)
"""A reply that is of one map."""


class Reception:
    """Takes the replies of the worker, in the link's thread.

    Args:
        state: notes what is heard of the map.
        outputs: publish it.
        corrections: forget the keyframes that the map no longer needs.
        complaints: say what went wrong.
        world: gives the frame of the map.
        resend: asks for a complete map, for a change was lost.

    Attributes:
        told: called with where a reconstruction stands, while one is under way.
        left_out: keyframes that were refused.
    """

    def __init__(
        self,
        state: MapState,
        outputs: Outputs,
        corrections: Corrections,
        complaints: Complaints,
        world: Callable[[], str],
        resend: Callable[[], None],
    ) -> None:
        self.told: Callable[[Activity], None] | None = None
        self.left_out = 0
        self._state, self._outputs, self._corrections = state, outputs, corrections
        self._complaints, self._world, self._resend = complaints, world, resend
        self._epoch, self._numbers = 0, itertools.count(1)
        self._waiting: dict[int, Callable[[Answer], None]] = {}
        self._saves: set[int] = set()
        self._lock = threading.Lock()

    @property
    def saving(self) -> bool:
        """Whether a map is being saved."""
        return bool(self._saves)

    def expect(self, answered: Callable[[Answer], None], saves: bool = False) -> int:
        """Return the number for a request.

        Args:
            answered: called with its answer, maybe in a thread.
            saves: whether it is to save the map.
        """
        number = next(self._numbers)
        with self._lock:
            self._waiting[number] = answered
            if saves:
                self._saves.add(number)
        return number

    def refuse_rest(self) -> None:
        """Answer those who still wait, for nobody else will."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._saves.clear()
        for number, answered in waiting.items():
            answered(Answer(number, "failed", "the node was cleaned up or shut down meanwhile"))

    def forget(self) -> int:
        """Forget the map; return the epoch of the next, and pass over what still comes of this one."""
        with self._lock:
            self._epoch += 1
            self._state.reset()
            return self._epoch

    def received(self, reply: Reply) -> None:
        """Handle a reply: an error here must not end the link's thread."""
        try:
            self._handle(reply)
        except Exception as err:
            self._complaints.say("reply", f"{type(reply).__name__}: {type(err).__name__}: {err}")

    def _handle(self, reply: Reply) -> None:
        if isinstance(reply, Added):
            current = self._current(reply, lambda added: self._state.keyframe_came(added.name))
            if current and len(reply.points):  # none where a new worker is told what was published before
                self._outputs.keyframe(reply)
        elif isinstance(reply, MapUpdate):
            if self._current(reply, self._state.map_came):
                self._publish(reply)
        elif isinstance(reply, FieldUpdate):
            if self._current(reply, lambda _: None):
                self._outputs.field(reply, self._world())
        elif isinstance(reply, Activity):
            self._state.activity_came(reply)
            if self.told is not None:
                self.told(reply)
        elif isinstance(reply, Refused):
            self.left_out += 1
            self._corrections.drop([reply.name])
            line = f"keyframe {reply.name} is left out: {reply.why}"
            self._complaints.say(alike(line), line)
        elif isinstance(reply, Released):
            self._corrections.drop(reply.names)
        elif isinstance(reply, Trouble):
            self._complaints.say(alike(reply.line), reply.line)
        elif isinstance(reply, Answer):
            self._answer(reply)

    def _current(self, reply: Part, note: Callable[[Part], None]) -> bool:
        """Return whether a reply is of the map that there is now; it is noted then."""
        with self._lock:
            current = reply.epoch == self._epoch and rclpy.ok()
            if current:
                note(reply)
        return current

    def _publish(self, update: MapUpdate) -> None:
        try:
            self._outputs.map(update, self._world())
        except DeltaGapError as err:
            self._complaints.say("gap", str(err))
            self._resend()

    def _answer(self, answer: Answer) -> None:
        with self._lock:
            answered = self._waiting.pop(answer.request, None)
            self._saves.discard(answer.request)
        if answered is not None:
            answered(answer)
