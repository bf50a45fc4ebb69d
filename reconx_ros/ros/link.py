"""The protocol between the node and whoever reconstructs: commands one way, replies the other.

Plain data, no ROS and no torch. The worker here runs in a process of its own on this machine
(``onboard``); one on another machine has to speak the same commands and replies, no more.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.ros.deltas import RowDelta
from reconx_ros.ros.rows import Rows

Code = Literal["ok", "no_map", "bad_path", "bad_map", "bad_goal", "canceled", "failed"]


@dataclass(frozen=True)
class Begin:
    """First command: how to map.

    Attributes:
        config: every stage's settings.
        min_keyframes: keyframes before the first map is given out.
        update_period_s: least seconds between two maps given out.
        rescue: folder the map is saved to where the node dies without a word; ``None``: not at all.
        scratch: folder for submaps that rest on disk; ``None`` for a temporary one.
    """

    config: ReconxConfig
    min_keyframes: int = 3
    update_period_s: float = 2.0
    rescue: Path | None = None
    scratch: Path | None = None


@dataclass(frozen=True)
class AddKeyframe:
    """Take in a keyframe; answered by ``Added`` or ``Refused``.

    Attributes:
        keyframe: to take in.
        camera_frame: its optical frame.
        catching_up: whether it was sent before, to a worker or node that died: it is not published
            on its own, and the map is refined only when all of them are in.
    """

    keyframe: Keyframe
    camera_frame: str
    catching_up: bool = False


@dataclass(frozen=True)
class Pause:
    """Stop (or take up again) refining; keyframes are still taken in."""

    paused: bool


@dataclass(frozen=True)
class Reset:
    """Forget the map; replies from now on carry ``epoch``."""

    epoch: int


@dataclass(frozen=True)
class Save:
    """Save the map; answered by ``Answer``."""

    request: int
    folder: Path


@dataclass(frozen=True)
class Load:
    """Replace the map by a saved one; answered by ``Answer``."""

    request: int
    folder: Path


@dataclass(frozen=True)
class Stop:
    """End, after saving where ``folder`` is given; answered by ``Answer``."""

    request: int
    folder: Path | None


@dataclass(frozen=True, eq=False)
class Correct:
    """Move the map where poses of keyframes were corrected (a loop was closed).

    Attributes:
        names: of keyframes.
        poses: [N, 4, 4] world_from_camera of each, corrected.
    """

    names: tuple[str, ...]
    poses: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClearBox:
    """Remove what lies in a box; answered by ``Answer`` with the number.

    Attributes:
        request: number of the command.
        low: [3] smallest corner, in the frame of the box.
        high: [3] largest corner.
        world_from_box: [4, 4].
    """

    request: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    world_from_box: NDArray[np.float64]


@dataclass(frozen=True)
class Reconstruct:
    """Reconstruct a recording, or refine the map in memory, and save; answered by ``Answer``.

    Attributes:
        request: number of the command.
        source: recording, or ``None`` for the map in memory.
        config: of a recording's reconstruction.
        steps: of refinement of the map in memory.
        folder: to save to.
    """

    request: int
    source: Path | None
    config: ReconxConfig
    steps: int
    folder: Path


@dataclass(frozen=True)
class Cancel:
    """End a ``Reconstruct`` early; its answer says what was saved."""

    request: int


@dataclass(frozen=True)
class Resend:
    """Let the next map be complete: a delta was lost."""


Command = (
    Begin
    | AddKeyframe
    | Pause
    | Reset
    | Save
    | Load
    | Stop
    | Correct
    | ClearBox
    | Reconstruct
    | Cancel
    | Resend
)


@dataclass(frozen=True)
class Ready:
    """The worker has loaded its libraries."""

    pid: int


@dataclass(frozen=True, eq=False)
class Added:
    """A keyframe is in the map.

    Attributes:
        epoch: of the map.
        name: of the keyframe.
        stamp_ns: its capture time.
        camera_frame: its optical frame.
        points: its points in that frame (``POINT_TYPE``), in the order of the pixels they are of.
        camera: of the keyframe.
    """

    epoch: int
    name: str
    stamp_ns: int
    camera_frame: str
    points: Rows
    camera: Camera


@dataclass(frozen=True)
class Refused:
    """A keyframe could not be used; the map is as it was."""

    name: str
    why: str


@dataclass(frozen=True, eq=False)
class MapUpdate:
    """The map as it is now.

    Attributes:
        epoch: of the map.
        points: the global cloud in the world (``CLOUD_TYPE``), as changes.
        gaussians: in the world (``gaussian_type``), as changes.
        views: capture time and camera of each keyframe, as refined.
        loss: of the optimiser, ``None`` before its first step.
        seconds: spent so far, by stage.
        preview: [H, W, 3] uint8 RGB, the map seen from the newest keyframe, ``None`` without one.
        preview_frame: optical frame of that keyframe.
        submaps: number of submaps, and of those that rest on disk.
        synthesis: who filmed what no view saw, and how well it does here, or why nobody did.
    """

    epoch: int
    points: RowDelta
    gaussians: RowDelta
    views: tuple[tuple[int, Camera], ...]
    loss: float | None
    seconds: dict[str, float] = field(default_factory=dict)
    preview: NDArray[np.uint8] | None = None
    preview_frame: str = ""
    submaps: tuple[int, int] = (0, 0)
    synthesis: str = ""


@dataclass(frozen=True)
class Activity:
    """What the worker is doing.

    Attributes:
        stage: running stage; empty when idle.
        fraction: of the stage that is done, in [0, 1].
        memory_bytes: resident memory of the worker process.
        gpu_bytes: GPU memory it holds.
        note: a short figure for a person, e.g. the loss.
    """

    stage: str
    fraction: float
    memory_bytes: int
    gpu_bytes: int = 0
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """The result of a command that asks for one.

    Attributes:
        request: number of the command.
        code: result.
        message: one line for a person.
        path: absolute folder written or read; empty where there is none.
        count: rows removed or Gaussians saved, where that was asked for.
    """

    request: int
    code: Code
    message: str
    path: str = ""
    count: int = 0


@dataclass(frozen=True)
class Trouble:
    """Something went wrong that belongs in the log; the map stays."""

    line: str


Reply = Ready | Added | Refused | MapUpdate | Activity | Answer | Trouble


class Link(Protocol):
    """What the node holds in its hand; no member blocks."""

    @property
    def state(self) -> str:
        """``starting``, ``idle``, ``busy``, ``lost`` or ``stopped``."""

    @property
    def behind(self) -> int:
        """Keyframes sent and not yet answered."""

    def send(self, command: Command) -> None:
        """Send a command; where the worker is away it is kept for its return, or answered."""
