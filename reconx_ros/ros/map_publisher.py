"""When the node is told of the map: when it has changed, holds enough, and was not told just now."""

import time
from collections.abc import Callable

from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.ros.link_commands import Begin
from reconx_ros.ros.link_replies import Reply
from reconx_ros.ros.replies import FieldReplies, MapReplies
from reconx_ros.ros.resources import give_back

TRIM_S = 20.0
"""Seconds between two times that freed memory is given back to the system."""


class MapPublisher:
    """Sends the map and the distance field to the node.

    Args:
        begin: how many keyframes are enough, and how often a map is published.
        mapper: holds the map.
        send: sends a reply to the node.

    Attributes:
        epoch: of the map.
        keyframes: added since the map began or was loaded.
        changed: whether the map is not what the node was told last.
    """

    def __init__(self, begin: Begin, mapper: IncrementalMapper, send: Callable[[Reply], None]) -> None:
        self.epoch, self.keyframes, self.changed = 0, 0, False
        self._begin, self._mapper, self._send = begin, mapper, send
        self._maps, self._fields = MapReplies(), FieldReplies()
        self._loaded = False
        self._camera_frame, self._stamp_ns = "", 0
        self._published = -float("inf")
        self._trimmed = time.monotonic()

    @property
    def waiting(self) -> bool:
        """Whether there is something to tell, now or when it is due."""
        return self.changed or self._fields.owed

    @property
    def holds(self) -> bool:
        """Whether there is anything in the map."""
        return self.keyframes > 0 or self._loaded

    def keyframe_came(self, camera_frame: str) -> None:
        """Note that a keyframe is in the map, seen by a camera with that optical frame."""
        self.keyframes += 1
        self._camera_frame = camera_frame
        self.changed = True

    def loaded(self) -> None:
        """Note that a saved map took the place of what there was."""
        self.keyframes, self._loaded, self.changed = 0, True, True
        self._maps.resend()

    def reset(self, epoch: int) -> None:
        """Begin with an empty map."""
        self._maps.resend()
        self.epoch, self.keyframes = epoch, 0
        self.changed = self._loaded = self._fields.owed = False
        self._published = -float("inf")

    def resend(self) -> None:
        """Let the next map be complete; where there is one, it is published anew."""
        self._maps.resend()
        self.changed = self.changed or self.holds

    def hurry(self) -> None:
        """Publish what there is without waiting: nobody should plan on the map before."""
        self.changed, self._published = self.holds, -float("inf")

    def publish_when_due(self, refining: bool) -> None:
        """Publish the map where it is time to, or the field that the last one lacked once all is at rest.

        Args:
            refining: whether the map is being refined; what is too little to show then stays noted.
        """
        due = time.monotonic() - self._published >= self._begin.update_period_s
        enough = self.keyframes >= self._begin.min_keyframes or self._loaded
        if not enough and not refining:
            self.changed = False
        if self.changed and enough and due:
            self._publish()
        elif self._fields.owed and not refining:
            self._publish_field()

    def _publish(self) -> None:
        update = self._maps.make(self.epoch, self._mapper, self._camera_frame)
        self.changed = False
        self._published = time.monotonic()
        if update is not None:
            self._send(update)
            self._stamp_ns = max((stamp for stamp, _ in update.views), default=0)
            self._publish_field()
        if time.monotonic() - self._trimmed > TRIM_S:
            give_back()
            self._trimmed = time.monotonic()

    def _publish_field(self) -> None:
        field = self._fields.make(self.epoch, self._mapper, self._stamp_ns)
        if field is not None:
            self._send(field)
