"""From serialised messages to keyframes, with real message classes and no middleware."""

import array
from collections.abc import Callable

import numpy as np
import pytest
import ros_frames as frames
import sensor_msgs.msg
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from reconx_ros.errors import SourceError
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.ingest import Ingest, IngestSettings
from reconx_ros.ros.pose_source import Frames, LivePoses

SECOND = 10**9
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


class Rig:
    """An ingest with a camera that moves 0.2 m along x each second, seen by TF."""

    def __init__(
        self, behind: Callable[[], int] = lambda: 0, stereo: bool = False, **config: float
    ) -> None:
        self.keyframes: list[Keyframe] = []
        self.frames: list[str] = []
        self.said: list[str] = []
        self.failures = 0  # keyframes that cannot be taken from now on
        self.poses = LivePoses(Frames(max_gap_s=2))
        self.move_to(0, 0.0)
        self.ingest = Ingest(
            IngestSettings("image", "depth", "required", stereo=stereo),
            KeyframeConfig(image_width=80, max_overlap=1.0, **config),
            self.poses,
            lambda e: deserialize_message(e.payload, getattr(sensor_msgs.msg, e.kind)),
            self._accept,
            lambda _, line: self.said.append(line),
            behind,
        )

    def _accept(self, keyframe: Keyframe, frame: str) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise RuntimeError("cannot be taken")
        self.keyframes.append(keyframe)
        self.frames.append(frame)

    def move_to(self, stamp_ns: int, x: float) -> None:
        self.poses.tf.add("map", frames.CAMERA, stamp_ns, np.array([x, 0.0, 0.0]), IDENTITY)

    def feed(self, stamp_ns: int, image: Image | None = None, depth: Image | None = None) -> None:
        """Feed one frame; the camera is where it is at that time."""
        self.move_to(stamp_ns, 0.2 * stamp_ns / SECOND)
        colour = image or frames.image(stamp_ns, seed=stamp_ns // SECOND)
        kind = type(colour).__name__
        self.ingest.colour(kind, serialize_message(colour))  # type: ignore[arg-type]
        self.ingest.depth("Image", serialize_message(depth or frames.depth(stamp_ns)))
        self.settle()

    def info(self, focal: float = frames.FOCAL) -> None:
        self.ingest.colour_info(serialize_message(frames.camera_info(0, focal)))

    def settle(self) -> None:
        """Wait for the thread that unpacks: a camera is slower than this test."""
        self.ingest._judge._pool.submit(lambda: None).result()

    def finish(self) -> None:
        self.ingest.close()


def test_moving_frames_become_reduced_keyframes_with_pose_and_depth() -> None:
    rig = Rig()
    rig.info()
    for second in range(1, 5):
        rig.feed(second * SECOND)
    rig.finish()
    assert [k.stamp_ns for k in rig.keyframes] == [second * SECOND for second in range(1, 5)]
    assert [k.name for k in rig.keyframes] == ["000000", "000001", "000002", "000003"]
    first = rig.keyframes[0]
    assert first.image.shape == (60, 80, 3)
    np.testing.assert_allclose(first.camera.world_from_camera[:3, 3], [0.2, 0, 0])
    assert first.camera.intrinsics[0, 0] == pytest.approx(frames.FOCAL / 2)
    assert first.depth is not None
    assert first.depth[30, 40] == pytest.approx(1.5, abs=1e-3)
    assert rig.frames[0] == frames.CAMERA


def test_frames_that_have_not_moved_are_not_even_unpacked() -> None:
    rig = Rig()
    rig.info()
    for tick in range(1, 21):
        rig.feed(tick * SECOND // 20)
    rig.finish()
    assert len(rig.keyframes) == 2  # at 0.01 m and at 0.16 m
    assert rig.ingest.dropped["too close"] == 18


def test_frames_as_in_ros_1_lose_their_slash() -> None:
    rig = Rig()
    rig.info()
    rig.feed(SECOND, image=frames.image(SECOND, frame=f"/{frames.CAMERA}"))
    rig.finish()
    assert rig.frames == [frames.CAMERA]


def test_compressed_colour_serves_as_well() -> None:
    rig = Rig()
    rig.info()
    rig.feed(SECOND, image=frames.compressed(SECOND))
    rig.finish()
    # JPEG halves the colour resolution; swapped channels would give 60.
    assert np.abs(rig.keyframes[0].image.astype(int) - _reduced(frames.picture())).mean() < 12


def _reduced(image: np.ndarray) -> np.ndarray:
    return image.reshape(60, 2, 80, 2, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda rig: rig.feed(SECOND, image=frames.image(SECOND, "jp2")), "encoding 'jp2' is unknown"),
        (lambda rig: rig.feed(SECOND, depth=frames.image(SECOND)), "depth encoding 'rgb8' is unknown"),
        (lambda rig: rig.feed(SECOND, image=_cut(frames.image(SECOND))), "needs 57600 bytes, has 10"),
        (lambda rig: rig.feed(SECOND, depth=frames.depth(SECOND, scale=2)), "80 x 60"),
        (lambda rig: rig.feed(SECOND, image=_smaller(SECOND)), "but its camera_info says 160 x 120"),
        (lambda rig: (rig.info(focal=0.0), rig.feed(SECOND)), "an uncalibrated camera"),
    ],
)  # fmt: skip
def test_a_bad_frame_is_one_line_and_the_next_good_one_is_used(
    spoil: Callable[[Rig], None], line: str
) -> None:
    rig = Rig()
    rig.info()
    spoil(rig)
    rig.settle()
    assert len(rig.said) == 1
    assert line in rig.said[0]
    assert "\n" not in rig.said[0]
    rig.info()
    rig.feed(2 * SECOND)
    rig.finish()
    assert [k.stamp_ns for k in rig.keyframes] == [2 * SECOND]
    assert rig.ingest.dropped["unusable"] == 1


def _cut(message: Image) -> Image:
    message.data = message.data[:10]
    return message


def _smaller(stamp_ns: int) -> Image:
    message = frames.image(stamp_ns)
    message.height, message.data = 60, message.data[: 60 * message.step]
    return message


def test_missing_camera_info_is_named() -> None:
    rig = Rig()
    rig.feed(SECOND)
    rig.finish()
    assert rig.said == ["frame 000000 dropped: no camera_info for image has come"]


def test_a_truncated_message_is_refused_and_survived() -> None:
    rig = Rig()
    rig.info()
    with pytest.raises(SourceError, match="message of 3 bytes is too short to hold a header"):
        rig.ingest.colour("Image", b"\x00\x01\x00")
    rig.feed(SECOND)
    rig.finish()
    assert len(rig.keyframes) == 1


def test_when_time_jumps_back_mapping_goes_on() -> None:
    rig = Rig()
    rig.info()
    for second in (5, 6, 7):
        rig.feed(second * SECOND)
    rig.feed(SECOND)
    rig.feed(2 * SECOND)
    rig.finish()
    assert rig.ingest.jumps == 1
    # The transforms that came just before the jump was seen are forgotten with the older ones.
    assert [k.stamp_ns // SECOND for k in rig.keyframes] == [5, 6, 7, 2]
    assert "time jumped back by 6.0 s" in rig.said[0]


@pytest.mark.parametrize("jumps", [True, False])
def test_frames_that_waited_count_as_dropped_where_time_jumped_not_where_the_map_is_forgotten(
    jumps: bool,
) -> None:
    rig = Rig()
    rig.info()
    late = 9 * SECOND
    rig.ingest.colour("Image", serialize_message(frames.image(late)))
    rig.ingest.depth("Image", serialize_message(frames.depth(late)))
    assert rig.ingest.waiting == 1
    if jumps:
        rig.feed(SECOND)
    else:
        rig.ingest.reset()
    assert rig.ingest.dropped["time jumped"] == jumps
    rig.finish()


def test_a_worker_that_is_far_behind_gets_no_more() -> None:
    rig = Rig(behind=lambda: 16)
    rig.info()
    rig.feed(SECOND)
    rig.finish()
    assert not rig.keyframes
    assert rig.ingest.dropped["worker busy"] == 1


def test_a_keyframe_that_could_not_be_taken_is_taken_from_the_next_frame() -> None:
    rig = Rig()
    rig.info()
    rig.feed(SECOND)
    rig.failures = 1
    rig.feed(2 * SECOND)
    rig.feed(2 * SECOND + SECOND // 10)  # 2 cm further: too close to a keyframe that there was
    rig.finish()
    assert [k.stamp_ns for k in rig.keyframes] == [SECOND, 2 * SECOND + SECOND // 10]
    assert rig.ingest.dropped == {"defect": 1}
    (line,) = rig.said
    assert line.startswith("frame 000001 dropped: RuntimeError: cannot be taken\nTraceback")


def test_pause_and_reset() -> None:
    rig = Rig()
    rig.info()
    rig.feed(SECOND)
    rig.ingest.paused = True
    rig.feed(2 * SECOND)
    rig.ingest.paused = False
    rig.ingest.reset()
    rig.settle()
    rig.feed(3 * SECOND)
    rig.finish()
    assert [k.stamp_ns // SECOND for k in rig.keyframes] == [1, 3]


def test_a_right_image_serves_as_depth() -> None:
    rig = Rig(stereo=True)
    rig.info()
    disparity = 10
    colour = frames.image(SECOND)
    right = frames.image(SECOND)
    rows = np.frombuffer(right.data, np.uint8).reshape(frames.HEIGHT, frames.WIDTH, 3)
    right.data = array.array("B", np.roll(rows, -disparity, axis=1).tobytes())
    rig.move_to(SECOND, 0.2)
    rig.ingest.colour("Image", serialize_message(colour))
    rig.ingest.depth("Image", serialize_message(right))
    rig.settle()
    assert "no camera_info for depth has come; it states the baseline" in rig.said[0]
    info = frames.camera_info(0)
    info.p = [frames.FOCAL, 0.0, 80.0, -0.1 * frames.FOCAL, *[0.0] * 8]
    rig.ingest.depth_info(serialize_message(info))
    for stamp in (2 * SECOND, 3 * SECOND):
        colour.header.stamp.sec = right.header.stamp.sec = stamp // SECOND
        rig.move_to(stamp, 0.2 * stamp / SECOND)
        rig.ingest.colour("Image", serialize_message(colour))
        rig.ingest.depth("Image", serialize_message(right))
        rig.settle()
    rig.finish()
    depth = rig.keyframes[0].depth
    assert depth is not None
    assert np.nanmedian(depth) == pytest.approx(frames.FOCAL * 0.1 / disparity, rel=0.02)
    assert np.isfinite(depth).mean() > 0.5
