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
from reconx_ros.ros.rows import Rows

Code = Literal["ok", "no_map", "bad_path", "bad_map", "failed"]


@dataclass(frozen=True)
class Begin:
    """First command: how to map.

    Attributes:
        config: every stage's settings.
        min_keyframes: keyframes before the first map is given out.
        update_period_s: least seconds between two maps given out.
        rescue: folder the map is saved to where the node dies without a word; ``None``: not at all.
    """

    config: ReconxConfig
    min_keyframes: int = 3
    update_period_s: float = 2.0
    rescue: Path | None = None


@dataclass(frozen=True)
class AddKeyframe:
    """Take in a keyframe; answered by ``Added`` or ``Refused``."""

    keyframe: Keyframe
    camera_frame: str


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


Command = Begin | AddKeyframe | Pause | Reset | Save | Load | Stop


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
        points: its points in that frame (``POINT_TYPE``).
    """

    epoch: int
    name: str
    stamp_ns: int
    camera_frame: str
    points: Rows


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
        points: the global cloud in the world (``POINT_TYPE``).
        gaussians: in the world (``gaussian_type``).
        views: capture time and camera of each keyframe, as refined.
        loss: of the optimiser, ``None`` before its first step.
        seconds: spent so far, by stage.
        preview: [H, W, 3] uint8 RGB, the map seen from the newest keyframe, ``None`` without one.
        preview_frame: optical frame of that keyframe.
    """

    epoch: int
    points: Rows
    gaussians: Rows
    views: tuple[tuple[int, Camera], ...]
    loss: float | None
    seconds: dict[str, float] = field(default_factory=dict)
    preview: NDArray[np.uint8] | None = None
    preview_frame: str = ""


@dataclass(frozen=True)
class Activity:
    """What the worker is doing.

    Attributes:
        stage: running stage; empty when idle.
        fraction: of the stage that is done, in [0, 1].
        memory_bytes: resident memory of the worker process.
    """

    stage: str
    fraction: float
    memory_bytes: int


@dataclass(frozen=True)
class Answer:
    """The result of ``Save``, ``Load`` or ``Stop``.

    Attributes:
        request: number of the command.
        code: result.
        message: one line for a person.
        path: absolute folder written or read; empty where there is none.
    """

    request: int
    code: Code
    message: str
    path: str = ""


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
