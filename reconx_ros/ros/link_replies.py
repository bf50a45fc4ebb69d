"""What whoever reconstructs tells the node: plain data, no ROS and no torch (see ``link_commands``)."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.ros.deltas import RowDelta
from reconx_ros.ros.rows import Rows

Code = Literal["ok", "no_map", "bad_path", "bad_map", "bad_goal", "canceled", "failed"]


@dataclass(frozen=True)
class Ready:
    """The worker has loaded its libraries."""

    pid: int


@dataclass(frozen=True)
class Adding:
    """A keyframe is being added: should the worker die before ``Added`` or ``Refused``, it died of it."""

    name: str


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


@dataclass(frozen=True)
class Released:
    """The map can be built again without these keyframes: newer ones show all that they saw."""

    names: tuple[str, ...]


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
        geometry: what gave the depth, and why it was chosen.
        pruned: degenerate Gaussians removed so far, by reason.
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
    geometry: str = ""
    pruned: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FieldUpdate:
    """The distance field round the robot.

    Attributes:
        epoch: of the map.
        stamp_ns: capture time of the keyframe it is round.
        origin: [3] metres, the lowest corner in the world.
        voxel_size: metres.
        distance: [X, Y, Z] float32 metres to the nearest obstacle, negative in obstacles, NaN unknown.
    """

    epoch: int
    stamp_ns: int
    origin: NDArray[np.float64]
    voxel_size: float
    distance: NDArray[np.float32]


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
        left: keyframes that the worker was sent and had not taken in when it was told to stop.
    """

    request: int
    code: Code
    message: str
    path: str = ""
    count: int = 0
    left: int = 0


@dataclass(frozen=True)
class Trouble:
    """Something went wrong that belongs in the log; the map stays."""

    line: str


Reply = Ready | Adding | Added | Refused | Released | MapUpdate | FieldUpdate | Activity | Answer | Trouble
