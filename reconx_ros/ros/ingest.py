"""From messages to keyframes: matched by stamp, posed, and only then unpacked. No ROS in here.

The callbacks (``colour``, ``depth``, ...) only sort bytes into queues; ``advance`` moves frames on
and is called after each of them and by a timer. Unpacking and judging happen in a thread.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.match import DepthUse, Match, StampMatcher
from reconx_ros.ros.candidates import Candidate, CandidateJudge, Unpack
from reconx_ros.ros.drop_counter import DropCounter
from reconx_ros.ros.envelope import Envelope, Kind, read_envelope
from reconx_ros.ros.pending import PoseQueue
from reconx_ros.ros.pose_source import PoseSource
from reconx_ros.sources.frames import FrameBuilder

JUMP_S = 1.0
"""A stamp that is this much older than the newest one means that time jumped back (a bag loops)."""


@dataclass(frozen=True)
class IngestSettings:
    """How frames are matched and posed.

    Attributes:
        image_topic: its name says whether the image is rectified.
        depth_topic: its name says whether depth is registered; empty without depth.
        depth: whether colour waits for depth.
        slop_s: seconds between colour and depth that still match.
        tf_timeout_s: seconds a frame may wait for its pose.
        backlog: keyframes the worker may be behind before new ones are left out.
        first_number: of the frames, which are named by their numbers.
        camera: name of the camera, of which its frames' names begin; empty where it has none.
        stereo: whether the right image of a rectified pair comes as depth.
    """

    image_topic: str
    depth_topic: str
    depth: DepthUse
    slop_s: float = 0.05
    tf_timeout_s: float = 0.5
    backlog: int = 16
    first_number: int = 0
    stereo: bool = False
    camera: str = ""


class Ingest:
    """The input side of the node.

    Args:
        settings: how frames are matched and posed.
        config: selection of keyframes.
        poses: where poses come from.
        unpack: deserialises an image message.
        accept: called in a thread with each keyframe and its optical frame.
        complain: called with a kind and a line for the log.
        behind: gives the number of keyframes the worker has not done yet.

    Attributes:
        received: messages by kind.
        latest_ns: stamp of the newest colour image, ``None`` before the first.
        jumps: times that time jumped back.
        paused: whether frames are ignored.
    """

    def __init__(
        self,
        settings: IngestSettings,
        config: KeyframeConfig,
        poses: PoseSource,
        unpack: Unpack,
        accept: Callable[[Keyframe, str], None],
        complain: Callable[[str, str], object],
        behind: Callable[[], int],
    ) -> None:
        self.received: Counter[str] = Counter()
        self.latest_ns: int | None = None
        self.jumps = 0
        self.paused = False
        self._settings, self._poses, self._complain, self._behind = settings, poses, complain, behind
        self._matcher: StampMatcher[tuple[str, Envelope], Envelope] = StampMatcher(
            round(settings.slop_s * 1e9), depth=settings.depth
        )
        self._queue: PoseQueue[Match[tuple[str, Envelope], Envelope]] = PoseQueue(
            poses, settings.tf_timeout_s, complain
        )
        self._dropped = DropCounter()
        builder = FrameBuilder(settings.image_topic, settings.depth_topic, settings.stereo)
        self._judge = CandidateJudge(builder, config, unpack, accept, complain, self._dropped)
        self._colour_info: Envelope | None = None
        self._depth_info: Envelope | None = None

    @property
    def dropped(self) -> Counter[str]:
        """Frames dropped so far, by reason."""
        return self._dropped.counts + self._matcher.dropped + self._queue.dropped

    @property
    def waiting(self) -> int:
        """Frames that wait for their pose."""
        return len(self._queue)

    def colour(self, kind: Kind, payload: bytes) -> None:
        """Take a serialised colour image.

        Raises:
            SourceError: it has no header, as with the other messages taken here.
        """
        envelope = self._open("image", kind, payload)
        if self.latest_ns is not None and envelope.stamp_ns < self.latest_ns - JUMP_S * 1e9:
            self._jump(envelope.stamp_ns)
        self.latest_ns = envelope.stamp_ns
        camera = self._settings.camera
        name = (
            f"{camera}{'_' if camera else ''}{self._settings.first_number + self.received['image'] - 1:06d}"
        )
        if not self.paused:
            self._matcher.push_colour(envelope.stamp_ns, (name, envelope))
            self.advance()

    def depth(self, kind: Kind, payload: bytes) -> None:
        """Take a serialised depth image."""
        envelope = self._open("depth", kind, payload)
        if not self.paused:
            self._matcher.push_depth(envelope.stamp_ns, envelope)
            self.advance()

    def colour_info(self, payload: bytes) -> None:
        """Take a serialised ``CameraInfo`` of the colour camera."""
        self._colour_info = self._open("camera_info", "CameraInfo", payload)

    def depth_info(self, payload: bytes) -> None:
        """Take a serialised ``CameraInfo`` of the depth camera."""
        self._depth_info = self._open("depth_camera_info", "CameraInfo", payload)

    def advance(self) -> None:
        """Move on every frame that can be moved on; quick."""
        for match in self._matcher.pop():
            self._queue.push(match, self._camera_frame(match.colour[1]), match.stamp_ns)
        for match, pose in self._queue.ready():
            (name, colour), depth, stamp = match.colour, match.depth, match.stamp_ns
            if not self._judge.moved(pose):
                self._dropped.add("too close")
            elif self._behind() >= self._settings.backlog:
                self._dropped.add("worker busy")
            else:
                self._judge.offer(
                    Candidate(
                        name,
                        colour,
                        depth,
                        pose,
                        self._colour_info,
                        self._depth_info,
                        lambda target, source, at=stamp: self._poses.extrinsic(target, source, at),  # type: ignore[misc]
                    )
                )

    def reset(self) -> None:
        """Start anew: nothing waits, nothing was selected."""
        self._matcher.clear()
        self._queue.clear()
        self._judge.reset()

    def moved(self) -> None:
        """Judge new views afresh: the map was corrected, and with it where it was seen from."""
        self._judge.reset()

    def close(self) -> None:
        """Finish what is being unpacked and end the thread."""
        self._judge.close()

    def _open(self, what: str, kind: Kind, payload: bytes) -> Envelope:
        self.received[what] += 1
        return read_envelope(kind, payload)

    def _camera_frame(self, colour: Envelope) -> str:
        info = self._colour_info
        return colour.frame_id or (info.frame_id if info is not None else "")

    def _jump(self, stamp_ns: int) -> None:
        back = ((self.latest_ns or 0) - stamp_ns) / 1e9
        self._complain(
            "jump", f"time jumped back by {back:.1f} s: frames in flight dropped, the map is kept"
        )
        self.jumps += 1
        self._dropped.add("time jumped", self.waiting)
        self._matcher.clear()
        self._queue.clear()
        self._poses.clear()
