"""A bag as posed frames: one pass, in time order, holding only what waits for its depth or pose."""

import logging
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.errors import SourceError
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.match import Match, StampMatcher
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.encodings import DamagedImageError
from reconx_ros.sources.frame_graph import TransformError
from reconx_ros.sources.frames import FrameBuilder
from reconx_ros.sources.intrinsics import CalibrationError
from reconx_ros.sources.messages import DamagedMessageError, RawMessage, parse
from reconx_ros.sources.poses import RecordedPoses
from reconx_ros.sources.protocol import SourceReport
from reconx_ros.sources.recording import Recording, open_recording
from reconx_ros.sources.topics import Topics, choose_topics
from reconx_ros.sources.transform_messages import stamp_ns

logger = logging.getLogger(__name__)

LOOKAHEAD_NS = 1_000_000_000
"""How much later than an image its pose may be recorded."""

HISTORY_S = 30.0
"""Seconds of moving transforms kept; longer than any image waits."""


class BagSource:
    """Frames of a rosbag2 folder, .mcap, .db3 or ROS 1 .bag.

    Args:
        path: the recording.
        config: topics, frames of reference, slop and the part to read.

    Attributes:
        posed: whether anything in the recording tells where the camera is; known once it is open.
    """

    metric = True

    def __init__(self, path: Path, config: SourceConfig) -> None:
        self.report = SourceReport()
        self.posed = True
        self._path = path
        self._config = config
        self._recording: Recording | None = None

    def __enter__(self) -> "BagSource":
        """Open the files and choose the topics.

        Raises:
            SourceError: not a recording, or not one with colour images and calibration.
        """
        recording = open_recording(self._path)
        try:
            self._topics = choose_topics(recording.topics, self._config)
        except SourceError:
            recording.close()
            raise
        self._recording = recording
        self.posed = self._places_camera(recording)
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None

    def frames(self) -> Iterator[Keyframe]:
        """Yield every frame in time order, named by its place among all colour messages.

        Raises:
            SourceError: not one frame can be read; or no frame could be read in the same way.
        """
        if self._recording is None:
            raise SourceError(f"{self._path} is not open; use it as a context manager")
        self.report = SourceReport()
        yield from _Reading(self._path, self._config, self._recording, self._topics, self.report).frames()

    def _places_camera(self, recording: Recording) -> bool:
        """Return whether TF or odometry connect the camera with a world; images are not read for it."""
        topics = self._topics
        try:
            first = next((parse(m) for m in recording.messages({topics.image})), None)
            frame = "" if first is None else first.header.frame_id
            if not frame:
                return True
            poses = RecordedPoses(self._config, HISTORY_S)
            for message in recording.messages({*topics.tf, *topics.tf_static, topics.odom} - {""}):
                content = parse(message)
                if message.topic == topics.odom:
                    poses.add_odometry(content)
                else:
                    poses.add_transforms(content, static=message.topic in topics.tf_static)
                if poses.places(frame):
                    return True
        except DamagedMessageError:  # reading says what is wrong
            return True
        return False


@dataclass(frozen=True)
class _Image:
    """A parsed image message and its place among the colour messages."""

    index: int
    log_ns: int
    message: Any


class _Reading:
    """One pass through a recording."""

    def __init__(
        self, path: Path, config: SourceConfig, recording: Recording, topics: Topics, report: SourceReport
    ) -> None:
        self._path, self._config, self._recording = path, config, recording
        self._topics, self._report = topics, report
        use = "none" if not topics.depth else "required" if config.require_depth else "optional"
        self._matcher: StampMatcher[_Image, _Image] = StampMatcher(round(config.slop * 1e9), depth=use)  # type: ignore[arg-type]
        self._poses = RecordedPoses(config, HISTORY_S)
        self._builder = FrameBuilder(topics.image, topics.depth)
        self._end = math.inf if config.duration is None else config.start + config.duration
        self._pending: deque[Match[_Image, _Image]] = deque()
        self._colours = 0
        self._first_ns: int | None = None
        self._first_error: SourceError | None = None
        self._warned: set[str] = set()
        self._has_poses = bool(topics.tf or topics.tf_static or topics.odom)

    def frames(self) -> Iterator[Keyframe]:
        self._read_ahead()
        for message in self._recording.messages(self._topics.all):
            if self._first_ns is None:
                self._first_ns = message.log_ns
            elapsed = message.log_ns - self._first_ns
            if elapsed > self._end * 1e9 + LOOKAHEAD_NS:
                break
            self._take(message, elapsed / 1e9)
            self._pending.extend(self._matcher.pop())
            yield from self._ready(message.log_ns)
        self._pending.extend(self._matcher.flush())
        yield from self._ready(None)
        self._finish()

    def _read_ahead(self) -> None:
        """Take all static transforms and the first calibration, wherever they were recorded."""
        for message in self._recording.messages(set(self._topics.tf_static)):
            self._take(message, 0.0)
        for topic in {self._topics.camera_info, self._topics.depth_camera_info} - {""}:
            first = next(iter(self._recording.messages({topic})), None)
            if first is not None:
                self._take(first, 0.0)

    def _take(self, message: RawMessage, elapsed: float) -> None:
        """Parse one message and use it, unless it is an image of another part of the recording."""
        topics = self._topics
        image = message.topic in (topics.image, topics.depth)
        if message.topic == topics.image:
            self._colours += 1
        within = self._config.start <= elapsed < self._end
        if image and not within:
            return
        try:
            content = parse(message)
        except DamagedMessageError as err:
            self._drop("damaged message", err)
            return
        try:
            self._sort(message, content)
        except CalibrationError as err:
            self._refuse("bad camera_info", err)

    def _sort(self, message: RawMessage, content: Any) -> None:  # noqa: ANN401
        """Hand a parsed message to what it is for."""
        topics = self._topics
        if message.topic in (topics.image, topics.depth):
            self._take_image(message, content)
        elif message.topic in topics.tf or message.topic in topics.tf_static:
            self._note(self._poses.add_transforms(content, static=message.topic in topics.tf_static))
        elif message.topic == topics.odom:
            self._note(self._poses.add_odometry(content))
        if message.topic == topics.camera_info:
            self._builder.set_colour_info(content)
        if message.topic == topics.depth_camera_info:
            self._builder.set_depth_info(content)

    def _note(self, refused: str) -> None:
        """Warn of a transform that is not used, whatever its numbers are only once."""
        if refused:
            self._warn(refused, once=refused.partition("[")[0])

    def _take_image(self, message: RawMessage, content: Any) -> None:  # noqa: ANN401
        stamp = stamp_ns(content.header.stamp) or message.log_ns  # some drivers leave the stamp 0
        image = _Image(self._colours - 1, message.log_ns, content)
        if message.topic == self._topics.image:
            self._matcher.push_colour(stamp, image)
        else:
            self._matcher.push_depth(stamp, image)

    def _ready(self, now_ns: int | None) -> Iterator[Keyframe]:
        """Yield the frames whose pose is known, or no longer to be waited for."""
        while self._pending:
            match = self._pending[0]
            final = now_ns is None or not self._has_poses or now_ns > match.colour.log_ns + LOOKAHEAD_NS
            try:
                pose = self._poses.lookup(
                    self._builder.camera_frame(match.colour.message), match.stamp_ns, final
                )
                if pose is None:
                    return
            except TransformError as err:
                self._warn(f"frames without a pose: {err}", once=f"pose {err.reason}")
                pose = None
            self._pending.popleft()
            yield from self._build(match, pose)

    def _build(self, match: Match[_Image, _Image], pose: NDArray[np.float64] | None) -> Iterator[Keyframe]:
        depth = None if match.depth is None else match.depth.message
        try:
            frame = self._builder.build(
                f"{match.colour.index:06d}",
                match.stamp_ns,
                match.colour.message,
                depth,
                pose,
                lambda target, source: self._poses.tf.lookup(target, source, match.stamp_ns),
            )
        except DamagedImageError as err:
            self._drop("damaged image", err)
            return
        except SourceError as err:
            self._refuse("unreadable image", err)
            return
        self._report.frames += 1
        yield frame

    def _drop(self, reason: str, err: SourceError) -> None:
        self._first_error = self._first_error or err
        self._report.dropped[reason] = self._report.dropped.get(reason, 0) + 1
        self._warn(str(err), once=reason)

    def _refuse(self, reason: str, err: SourceError) -> None:
        """Raise what is wrong with every frame; once frames were good, it is this message alone."""
        if self._report.frames == 0:
            raise err
        self._drop(reason, err)

    def _finish(self) -> None:
        """Complete the report once everything was read."""
        self._report.dropped.update(self._matcher.dropped)
        if self._recording.damage:
            self._report.partial = True
            self._warn(f"{self._recording.damage}; what was before it is used", once="damage")
        if self._report.frames == 0:
            raise self._nothing()

    def _nothing(self) -> SourceError:
        if self._first_error is not None:
            return SourceError(f"{self._path}: no frame can be read: {self._first_error}")
        dropped = self._report.dropped
        why = ", ".join(f"{count} x {reason}" for reason, count in dropped.items())
        why += f"; slop is {self._config.slop:g} s" if "colour without depth" in dropped else ""
        return SourceError(
            f"{self._path}: no frame of {self._colours} images on {self._topics.image} "
            f"from {self._config.start:g} s to {self._end:g} s ({why or 'none in that time'})"
        )

    def _warn(self, line: str, once: str) -> None:
        """Log a line and keep it in the report; of each kind only the first."""
        if once not in self._warned:
            self._warned.add(once)
            self._report.warnings.append(line)
            logger.warning(line)
