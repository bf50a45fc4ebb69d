"""What the node tells whoever reconstructs: plain data, no ROS and no torch.

The worker here runs in a process of its own on this machine (``onboard``); one on another machine has to
obey the same commands and give the same replies (``link_replies``), no more.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import ReconxConfig
from reconx_ros.keyframes.keyframe import Keyframe

WORKERS_OWN = Path()
"""Stands for the output folder of a worker on another machine: folders are relative to that."""


@dataclass(frozen=True)
class Begin:
    """First command: how to map.

    Attributes:
        config: every stage's settings.
        min_keyframes: keyframes before the first map is given out.
        update_period_s: least seconds between two maps given out.
        rescue: folder the map is saved to where the node dies without a word; ``None``: not at all.
        scratch: folder in which each worker has one for submaps that rest; ``None``: a temporary one.
    """

    config: ReconxConfig
    min_keyframes: int = 3
    update_period_s: float = 2.0
    rescue: Path | None = None
    scratch: Path | None = None


@dataclass(frozen=True, eq=False)
class AddKeyframe:
    """Take in a keyframe; answered by ``Added`` or ``Refused``.

    Attributes:
        keyframe: to take in.
        camera_frame: its optical frame.
        catching_up: whether it was sent before, to a worker or node that died: it is not published
            on its own, and the map is refined only when all of them are in.
        odom_from_camera: [4, 4] for the journal, ``None`` where odometry is not on the way to the world.
        base_from_camera: [4, 4] for the journal, ``None`` where the base frame is not known.
    """

    keyframe: Keyframe
    camera_frame: str
    catching_up: bool = False
    odom_from_camera: NDArray[np.float64] | None = None
    base_from_camera: NDArray[np.float64] | None = None


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

Request = Save | Load | Stop | ClearBox | Reconstruct

REQUESTS = (Save, Load, Stop, ClearBox, Reconstruct)
"""Commands that are answered."""
