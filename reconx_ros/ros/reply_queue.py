"""What the worker has said and the robot has not been sent yet."""

from collections import deque
from typing import Any

from reconx_ros.ros.latest_map import LatestMap
from reconx_ros.ros.link_messages import reply_messages
from reconx_ros.ros.link_replies import Activity, FieldUpdate, MapUpdate, Reply


class ReplyQueue:
    """Replies that wait for room on the link, in the order in which they matter to the robot.

    A thread of the worker's puts them in, the link takes them out. Of what the worker is doing, of the
    distance field and of the map only the newest waits.

    Args:
        bytes_a_turn: that one map may take, besides what is new.
    """

    def __init__(self, bytes_a_turn: int) -> None:
        self._bytes_a_turn = bytes_a_turn
        self._map = LatestMap(bytes_a_turn)
        self._replies: deque[Reply] = deque()
        self._messages: deque[Any] = deque()
        self._resting = False
        self._activity: Activity | None = None
        self._field: FieldUpdate | None = None

    def put(self, reply: Reply) -> None:
        """Keep a reply.

        Raises:
            DeltaGapError: a map does not follow on the one before; ask the worker for the whole.
        """
        if isinstance(reply, MapUpdate):
            self._map.take(reply)
        elif isinstance(reply, Activity):
            self._resting = not reply.stage
            self._activity = reply  # only the newest is sent, and that always
        elif isinstance(reply, FieldUpdate):
            self._field = reply  # likewise the newest alone, when there is room
        else:
            self._replies.append(reply)

    def take(self, under_way: int) -> Any | None:  # noqa: ANN401
        """Return the next message: replies first, then what the robot lacks of the map.

        Args:
            under_way: messages that are sent and not acknowledged.
        """
        if self._activity is not None and not self._replies and under_way < 2:
            activity, self._activity = self._activity, None
            (message,) = reply_messages(activity)
        elif self._replies:  # these go before the rest of a map: planners wait for new points
            (message,) = reply_messages(self._replies.popleft())
        elif self._field is not None:
            field, self._field = self._field, None
            (message,) = reply_messages(field)
        else:
            message = self._of_map(under_way)
        return message

    def _of_map(self, under_way: int) -> Any | None:  # noqa: ANN401
        """Return the next message of the map that is being sent; one map replaces several."""
        if not self._messages and not under_way:
            update = self._map.give(self._resting)
            self._messages.extend(() if update is None else reply_messages(update))
        return self._messages.popleft() if self._messages else None

    def resend(self) -> None:
        """Let the next map be complete."""
        self._map.resend()

    def forget_map(self) -> None:
        """Begin with another map: nothing of the one before is sent any more."""
        self._map, self._field = LatestMap(self._bytes_a_turn), None

    def clear(self) -> None:
        """Forget everything that waits."""
        for waiting in (self._replies, self._messages):
            waiting.clear()
        self.forget_map()
