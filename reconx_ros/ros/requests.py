"""What the services and the action ask a session for, and how the worker comes to hear of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconx_ros.config import load_config
from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.link_commands import Cancel, ClearBox, Load, Reconstruct, Save
from reconx_ros.ros.link_replies import Activity, Answer
from reconx_ros.ros.offboard import OffboardWorker
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.paths import meant
from reconx_ros.ros.pose_source import LivePoses
from reconx_ros.ros.reception import Reception


@dataclass(frozen=True, eq=False)
class Box:
    """A box to clear: corners [3] in ``frame``, whose axes are its own; ``''`` is the map frame."""

    frame: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """What ``~/reconstruct`` is asked for; see the action's definition."""

    source: str
    preset: str
    steps: int
    output: str


class Requests:
    """Requests that the worker answers; ``answered`` is called in a thread, and always.

    Args:
        parameters: of the node.
        folder: that maps are saved to and loaded from where a request names none.
        worker: does what is asked.
        reception: brings the answers.
        poses: of the frames that boxes are given in.
        ingest: is told when the map is another one.
        corrections: forget what was seen for the map before.
        world: gives the frame of the map.
    """

    def __init__(
        self,
        parameters: Parameters,
        folder: Path,
        worker: OnboardWorker | OffboardWorker,
        reception: Reception,
        poses: LivePoses,
        ingest: IngestGroup,
        corrections: Corrections,
        world: Callable[[], str],
    ) -> None:
        self._parameters, self._folder = parameters, folder
        self._worker, self._reception, self._poses = worker, reception, poses
        self._ingest, self._corrections, self._world = ingest, corrections, world

    def clear_box(self, box: Box, answered: Callable[[Answer], None]) -> None:
        """Remove what lies in a box; ``answered`` is called in a thread.

        Raises:
            TransformError: the frame of the box is not known.
        """
        pose = np.eye(4)
        if box.frame not in ("", self._world()):
            pose = self._poses.newest(box.frame)
        self._worker.send(ClearBox(self._reception.expect(answered), box.low, box.high, pose))

    def reconstruct(
        self, goal: Goal, answered: Callable[[Answer], None], told: Callable[[Activity], None]
    ) -> int:
        """Reconstruct a recording or refine the map in memory; return the number of the request.

        Args:
            goal: what is asked for.
            answered: called in a thread with the result.
            told: called in a thread with where the work stands.

        Raises:
            ConfigError: the preset is unknown, or a path names a user whom there is not.
        """
        file = meant(self._parameters.config_file) if self._parameters.config_file else None
        overrides = self._parameters.overrides
        if goal.steps:
            overrides = {**overrides, "splatting": {"steps": goal.steps}}
        config = load_config(goal.preset or self._parameters.preset, file, overrides)
        folder = self._named(goal.output)
        source = meant(goal.source) if goal.source else None

        def done(answer: Answer) -> None:
            self._reception.told = None
            answered(answer)

        number, self._reception.told = self._reception.expect(done), told
        self._worker.send(Reconstruct(number, source, config, config.splatting.steps, folder))
        return number

    def cancel(self, request: int) -> None:
        """End a reconstruction early; what is done is saved."""
        self._worker.send(Cancel(request))

    def save(self, path: str, answered: Callable[[Answer], None]) -> None:
        """Save the map (to the output folder where no path is given); ``answered`` is called in a thread.

        Raises:
            ConfigError: the path names a user whom there is not.
        """
        folder = self._named(path)
        self._worker.send(Save(self._reception.expect(answered, saves=True), folder))

    def load(self, path: str, answered: Callable[[Answer], None]) -> None:
        """Replace the map by a saved one; ``answered`` is called in a thread.

        What was seen for the map before counts no more: it is corrected no more, and seen anew it is new.

        Raises:
            ConfigError: the path names a user whom there is not.
        """
        folder, before = self._named(path), self._corrections.names

        def done(answer: Answer) -> None:
            try:
                if answer.code == "ok":
                    self._corrections.drop(before)
                    self._ingest.moved()
            finally:  # also where the session ends meanwhile, and nothing is judged any more
                answered(answer)

        self._worker.send(Load(self._reception.expect(done), folder))

    def _named(self, path: str) -> Path:
        """Return the folder of a request: the output folder where it names none."""
        return meant(path) if path else self._folder
