"""Between a subscription and who takes its messages: one that cannot be used costs no more than itself."""

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.serialization import deserialize_message

from reconx_ros.errors import ReconxError, SourceError
from reconx_ros.ros.complaints import Complaints, alike
from reconx_ros.ros.drop_counter import DropCounter


class MessageGuard:
    """Counts and names what a callback refuses; a defect in it does not end the executor.

    Args:
        warn: called with a line where a message cannot be used.
        error: called with a line and a traceback where the fault is ours.

    Attributes:
        dropped: messages by reason.
    """

    def __init__(self, warn: Callable[[str], None], error: Callable[[str], None]) -> None:
        self.dropped = DropCounter()
        # Each on a line of its own: a logger of rclpy keeps one severity for every line that calls it.
        self._bad = Complaints(warn)
        self._defects = Complaints(lambda line: error(line))  # noqa: PLW0108

    def around(self, topic: str, take: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return ``take``, for a subscription to ``topic``; it never raises."""

        def guarded(message: Any) -> None:  # noqa: ANN401
            try:
                take(message)
            except ReconxError as err:
                kind = f"{topic} {alike(str(err))}"
                self._bad.say(kind, f"message on {topic} cannot be used: {err}")
                self.dropped.add("bad message")  # last: who sees the count finds the line
            except Exception as err:
                what = f"{type(err).__name__}: {err}\n{traceback.format_exc()}"
                self._defects.say(topic, f"message on {topic} dropped: {what}")
                self.dropped.add("defect")

        return guarded


def unpack(kind: type[Any], payload: bytes) -> Any:  # noqa: ANN401
    """Return the message of serialised bytes.

    Raises:
        SourceError: they are none of this kind.
    """
    try:
        return deserialize_message(payload, kind)
    except RuntimeError as err:  # of rclpy: for Fast DDS its text says no more
        raise SourceError(f"{len(payload)} bytes are no {kind.__name__}: cut, or not serialised") from err
