"""Step 3 as a whole: choose who films, by what it shows on the run's own keyframes, and let it film."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reconx_ros.diffusion.choose import contenders
from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.protocol import GeneratedFrame, NoSynthesis, Scene, Synthesizer
from reconx_ros.diffusion.small.names import SMALL
from reconx_ros.diffusion.trust import Trial, gain, left_out, trial
from reconx_ros.errors import MissingDependencyError, SynthesisError
from reconx_ros.geometry.protocol import GeometryEstimate, PointCloud
from reconx_ros.progress import Progress
from reconx_ros.splatting.device import choose_device
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

FEWEST_PIXELS = 500
"""Pixels in holes from which the run's own keyframes correct the confidence."""


@dataclass(frozen=True, eq=False)
class Synthesis:
    """What was filmed, by whom, and why.

    Attributes:
        frames: generated; empty where nothing was.
        name: of the synthesizer.
        report: JSON-ready: the contest, or why nothing was filmed.
    """

    frames: tuple[GeneratedFrame, ...] = ()
    name: str = NoSynthesis.name
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line for a person: who filmed how much, and what was measured of it, or why nothing."""
        if not self.frames:
            return f"{self.name}: {self.report.get('reason', 'no frames')}"
        contest = self.report.get("contest", {})
        rows = [
            f"{name} {row['holes_db']:.1f} dB"
            for name, row in contest.items()
            if row["holes_db"] is not None
        ]
        measured = f"; in holes of left-out keyframes: {', '.join(rows)}" if rows else ""
        return f"{self.name}: {len(self.frames)} frames{measured}"


def references_of(estimate: GeometryEstimate) -> list[Reference]:
    """Return the posed views whose depth is known somewhere."""
    pairs = zip(estimate.keyframes, estimate.pointmaps, strict=True)
    return [Reference.of_pointmap(k, points) for k, points in pairs if k.posed and points.known.any()]


class Studio:
    """Films for one run: loads who may film once, and asks again who is best when the run has grown.

    Args:
        config: who films.
        device: ``cpu``, ``cuda`` or ``auto``.
    """

    def __init__(self, config: SynthesisConfig, device: str) -> None:
        self.config, self._device = config, device
        self._loading = threading.Lock()  # a live map loads in a thread of its own
        self._running: list[Synthesizer] = []
        self._chosen: tuple[Synthesizer, dict[str, Any]] | None = None
        self._measured_on = 0

    def load(self) -> None:
        """Load the synthesizers, which takes seconds; ``film`` does so where it was not done before.

        Raises:
            SynthesisError: the one that was asked for cannot be loaded.
            MissingDependencyError: it needs a package that is not installed.
        """
        with self._loading:
            if self._running:
                return
            self._running = contenders(self.config, str(choose_device(self._device)))

    def forget(self) -> None:
        """Ask anew who films: another scene begins."""
        self._chosen, self._measured_on = None, 0

    def film(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
        scene: Scene | None = None,
    ) -> Synthesis:
        """Film ``trajectory``; where that is impossible, nothing is filmed and the report says why.

        Args:
            references: the views with their depth.
            cloud: the structure condition.
            trajectory: cameras to film.
            progress: told about each step; asked whether to stop.
            scene: the map so far, if there is one.
        """
        if self.config.method == "none" or not len(trajectory) or not references:
            return Synthesis(report={"reason": _why_nothing(self.config, trajectory)})
        try:
            self.load()
            chosen, report = self._choice(references, progress)
            if scene is not None:
                chosen = chosen.grounded(scene)
            frames = chosen.generate(references, cloud, trajectory, progress)
        except (SynthesisError, MissingDependencyError) as err:
            return Synthesis(report={"reason": str(err)})
        return Synthesis(frames, chosen.name, report)

    def _choice(
        self, references: Sequence[Reference], progress: Progress
    ) -> tuple[Synthesizer, dict[str, Any]]:
        if self._chosen is None or len(references) >= 2 * self._measured_on:
            running = self._adapted(references, progress)
            chosen = choose(running, references, self.config, progress)
            if progress.cancelled():
                return chosen
            self._chosen, self._measured_on = chosen, len(references)
        return self._chosen

    def _adapted(self, references: Sequence[Reference], progress: Progress) -> list[Synthesizer]:
        """Return who may film, and before them the small model adapted to this run, where asked for."""
        small = next((each for each in self._running if each.name == SMALL), None)
        if self.config.adapt_seconds == 0 or small is None:
            return self._running
        asked = left_out(len(references), self.config.trust.keyframes)
        adapted = small.adapt(references, asked, self.config.adapt_seconds, progress)  # type: ignore[attr-defined]
        return [adapted, *self._running] if adapted.adapted else self._running


def choose(
    running: Sequence[Synthesizer],
    references: Sequence[Reference],
    config: SynthesisConfig,
    progress: Progress,
) -> tuple[Synthesizer, dict[str, Any]]:
    """Return who films, its confidence calibrated on ``references``, and the figures of the contest.

    Args:
        running: who may film; the last one learns nothing.
        references: the run's own views.
        config: how much is measured.
        progress: asked whether to stop.
    """
    if config.trust.keyframes == 0:
        return running[0], {"reason": "trusted without a contest: synthesis.trust.keyframes is 0"}
    if len(references) < 2:
        if config.method == "auto":
            return NoSynthesis(), {"reason": "one view: no prior can be measured on it"}
        return running[0], {"reason": "one view: the prior could not be measured on it"}
    trials = []
    for number, contender in enumerate(running):
        trials.append(trial(contender, references, config.trust.keyframes, progress))
        progress.update("contest", number + 1, len(running), contender.name)
    best = _best(trials, config.trust.least_gain)
    contest = {each.name: found.json() for each, found in zip(running, trials, strict=True)}
    return _calibrated(running[best], trials[best]), {"contest": contest}


def _best(trials: Sequence[Trial], least: float) -> int:
    """Return the best contender in holes; the last, which learns nothing, unless beaten by ``least`` dB."""
    gains = [gain(each, trials[-1]) for each in trials]
    best = int(np.argmax(gains))
    return best if gains[best] > least else len(trials) - 1


def _calibrated(chosen: Synthesizer, found: Trial) -> Synthesizer:
    if sum(len(each) for each in found.right) < FEWEST_PIXELS:
        return chosen
    return chosen.believed(np.concatenate(found.confidence), np.concatenate(found.right))


def _why_nothing(config: SynthesisConfig, trajectory: Trajectory) -> str:
    if config.method == "none":
        return "synthesis.method is none"
    return "no view with depth" if len(trajectory) else "; ".join(["no path", *trajectory.notes])
