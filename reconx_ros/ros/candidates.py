"""The few frames that may become keyframes are unpacked and judged beside the callbacks, in a thread."""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.errors import ReconxError
from reconx_ros.keyframes.config import KeyframeConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.keyframes.selector import KeyframeSelector, Verdict, baseline, rotation_degrees
from reconx_ros.ros.complaints import alike
from reconx_ros.ros.drop_counter import DropCounter
from reconx_ros.ros.envelope import Envelope
from reconx_ros.sources.frames import Extrinsic, FrameBuilder, naming

REDUNDANT_STEP = 0.2
"""Share of the motion thresholds to move on from a redundant view before the next is unpacked."""

Unpack = Callable[[Envelope], Any]
"""Deserialises a message, or raises ``SourceError``."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A frame that has moved enough, still serialised.

    Attributes:
        name: of the frame.
        colour: image message.
        depth: image message or ``None``.
        world_from_camera: [4, 4].
        colour_info: latest ``CameraInfo`` of the colour camera, ``None`` before the first.
        depth_info: latest ``CameraInfo`` of the depth camera, ``None`` before the first.
        extrinsic: gives the pose between the two cameras.
    """

    name: str
    colour: Envelope
    depth: Envelope | None
    world_from_camera: NDArray[np.float64]
    colour_info: Envelope | None
    depth_info: Envelope | None
    extrinsic: Extrinsic


class CandidateJudge:
    """Unpacks candidates in one background thread and hands on those that are keyframes.

    Args:
        builder: makes frames of messages; used in the thread only.
        config: thresholds of selection and the width keyframes are reduced to.
        unpack: deserialises a message.
        accept: called in the thread with each keyframe, reduced.
        complain: called with a kind and a line where a frame cannot be used.
        dropped: counts the frames dropped.
        capacity: most candidates that wait.
    """

    def __init__(
        self,
        builder: FrameBuilder,
        config: KeyframeConfig,
        unpack: Unpack,
        accept: Callable[[Keyframe, str], None],
        complain: Callable[[str, str], object],
        dropped: DropCounter,
        capacity: int = 3,
    ) -> None:
        self._builder, self._config, self._unpack = builder, config, unpack
        self._accept, self._complain, self._dropped = accept, complain, dropped
        self._selector = KeyframeSelector(config)
        self._last: Camera | None = None
        self._redundant: Camera | None = None
        self._free = threading.Semaphore(capacity)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="candidates")

    def moved(self, world_from_camera: NDArray[np.float64]) -> bool:
        """Return whether a camera here has moved enough since the last keyframe to be unpacked.

        And since the last view that was found redundant: a little further on the next would be too.
        """
        return self._far(world_from_camera, self._last, 1.0) and self._far(
            world_from_camera, self._redundant, REDUNDANT_STEP
        )

    def offer(self, candidate: Candidate) -> None:
        """Queue a candidate; it is dropped where too many wait already. Never blocks."""
        if not self._free.acquire(blocking=False):
            self._dropped.add("decoding busy")
            return
        self._pool.submit(self._work, candidate)

    def reset(self) -> None:
        """Forget the keyframes seen, after the work queued so far."""
        self._pool.submit(self._forget)

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._pool.shutdown(wait=True)

    def _far(self, world_from_camera: NDArray[np.float64], other: Camera | None, share: float) -> bool:
        """Return whether the camera is at least ``share`` of the thresholds away from ``other``."""
        if other is None:
            return True
        here = other.moved(world_from_camera)
        moved = baseline(here, other) >= share * self._config.min_baseline
        return moved or rotation_degrees(here, other) >= share * self._config.min_rotation

    def _forget(self) -> None:
        self._selector, self._last, self._redundant = KeyframeSelector(self._config), None, None

    def _work(self, candidate: Candidate) -> None:
        try:
            self._judge(candidate)
        except ReconxError as err:
            self._complain(f"unusable {alike(str(err))}", f"frame {candidate.name} dropped: {err}")
            self._dropped.add("unusable")  # last: who sees the count finds the line
        except Exception as err:  # a defect here must not end the thread that all frames go through
            what = f"{type(err).__name__}: {err}\n{traceback.format_exc()}"
            self._complain("defect", f"frame {candidate.name} dropped: {what}")
            self._dropped.add("defect")
        finally:
            self._free.release()

    def _judge(self, candidate: Candidate) -> None:
        if not self.moved(candidate.world_from_camera):  # the one before it has become a keyframe
            self._dropped.add(Verdict.TOO_CLOSE.value)
            return
        frame, camera_frame = self._build(candidate)
        verdict = self._selector.offer(frame)
        if verdict is Verdict.REDUNDANT:
            self._redundant = frame.camera
        if verdict is not Verdict.ACCEPTED:
            self._dropped.add(verdict.value)
            return
        before = self._last
        self._last, self._redundant = frame.camera, None
        try:
            self._accept(reduce(frame, self._config.image_width), camera_frame)
        except Exception:
            self._last = before  # nobody has it: the next view of this place is as new
            self._selector.withdraw()
            raise

    def _build(self, candidate: Candidate) -> tuple[Keyframe, str]:
        image, depth = self._builder.image_topic, self._builder.depth_topic
        if candidate.colour_info is not None:
            self._builder.set_colour_info(self._open(candidate.colour_info, f"camera_info of {image}"))
        if candidate.depth_info is not None:
            self._builder.set_depth_info(self._open(candidate.depth_info, f"camera_info of {depth}"))
        colour = self._open(candidate.colour, f"image on {image}")
        measured = None if candidate.depth is None else self._open(candidate.depth, f"depth on {depth}")
        frame = self._builder.build(
            candidate.name,
            candidate.colour.stamp_ns,
            colour,
            measured,
            candidate.world_from_camera,
            candidate.extrinsic,
        )
        return frame, self._builder.camera_frame(colour)

    def _open(self, envelope: Envelope, what: str) -> Any:  # noqa: ANN401
        with naming(what):
            return self._unpack(envelope)
