"""Step 3 as a whole: choose who films, by what it shows on the run's own keyframes, and let it film."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from reconx_ros.diffusion.choose import contenders, wan_may_film
from reconx_ros.diffusion.config import SynthesisConfig
from reconx_ros.diffusion.contest import FAILURES, choose
from reconx_ros.diffusion.nobody import Unfilmed
from reconx_ros.diffusion.protocol import GeneratedFrame, NoSynthesis, Scene, Synthesizer
from reconx_ros.diffusion.small.names import ADAPTED, SMALL
from reconx_ros.diffusion.trust import left_out
from reconx_ros.geometry.protocol import GeometryEstimate, PointCloud
from reconx_ros.progress import Progress, Until
from reconx_ros.splatting.device import choose_device
from reconx_ros.structure.config import PlanConfig
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory

NOTHING_TO_LEARN = (
    "nothing to learn from: no keyframe but those of the contest (synthesis.trust.keyframes) is shown "
    "by two others"
)
"""Why a run does not adapt the model."""


@dataclass(frozen=True, eq=False)
class Synthesis:
    """What was filmed, by whom, and why.

    Attributes:
        frames: generated; empty where nothing was.
        name: of the synthesizer.
        report: JSON-ready: the contest, or why nothing was filmed.
        interrupted: whether it was stopped before anybody could tell what there is to film.
    """

    frames: tuple[GeneratedFrame, ...] = ()
    name: str = NoSynthesis.name
    report: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def summary(self) -> str:
        """One line for a person: who filmed how much, and what was measured of it, or why nothing."""
        if not self.frames:
            return f"{self.name}: {self.report.get('reason', 'no frames')}"
        contest = self.report.get("contest", {})
        rows = [
            f"{name} {row['holes_db']:.1f} dB"
            for name, row in contest.items()
            if row.get("holes_db") is not None
        ]
        measured = f"; in holes of left-out keyframes: {', '.join(rows)}" if rows else ""
        left = "".join(
            f"; {name} {what.replace('_', ' ')}: {why}"
            for what in ("not_asked", "failed")
            for name, why in self.report.get(what, {}).items()
        )
        return f"{self.name}: {len(self.frames)} frames{measured}{left}"


def references_of(estimate: GeometryEstimate) -> list[Reference]:
    """Return the posed views whose depth is known somewhere."""
    pairs = zip(estimate.keyframes, estimate.pointmaps, strict=True)
    return [Reference.of_pointmap(k, points) for k, points in pairs if k.posed and points.known.any()]


class Studio:
    """Films for one run: loads who may film once, and asks again who is best when the run has grown.

    Args:
        config: who films.
        device: ``cpu``, ``cuda`` or ``auto``.
        unfilmed: the map without filming, which a prior of ``auto`` has to beat; where not given, none.
    """

    def __init__(self, config: SynthesisConfig, device: str, unfilmed: Unfilmed | None = None) -> None:
        self.config, self._device, self._unfilmed = config, device, unfilmed
        self._loading = threading.Lock()  # a live map loads in a thread of its own
        self._running: list[Synthesizer] = []
        self._not_asked: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._chosen: tuple[Synthesizer, dict[str, Any]] | None = None
        self._measured_on = 0
        self._spent = 0.0  # seconds of the contest that filming has still to save

    def load(self) -> None:
        """Load the synthesizers, which takes seconds; ``film`` does so where it was not done before.

        Raises:
            SynthesisError: the one that was asked for cannot be loaded.
            MissingDependencyError: it needs a package that is not installed.
        """
        with self._loading:
            if self._running:
                return
            self._running, self._not_asked = contenders(self.config, self._device_name())

    def forget(self) -> None:
        """Ask anew who films: another scene begins."""
        self._chosen, self._measured_on = None, 0

    def plan(self, references: Sequence[Reference], progress: Progress) -> PlanConfig:
        """Return how to plan; where no length of a clip is configured, who films says it.

        Where it could be Wan-VACE, that is chosen here already; the choice holds for ``film``.

        Args:
            references: the views with their depth.
            progress: told about the contest; asked whether to stop.
        """
        plan = self.config.plan
        if plan.clip is not None or not references or not wan_may_film(self.config, self._device_name()):
            return plan
        try:
            self.load()
            chosen, _ = self._choice(references, progress)
        except FAILURES:
            return plan  # ``film`` says why
        return plan.model_copy(update={"clip": chosen.clip})

    def _device_name(self) -> str:
        return str(choose_device(self._device))

    def film(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
        scene: Scene | None = None,
    ) -> Synthesis:
        """Film ``trajectory``; where that is impossible, nothing is filmed and the report says why.

        Contest and filming take ``config.seconds`` in all, to load and to adapt not counted. A contender
        that fails is not asked again as long as another one is left.

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
        except FAILURES as err:
            return Synthesis(report={"reason": str(err)})
        end, self._spent = monotonic() + self.config.seconds - self._spent, 0.0
        try:
            filming = chosen if scene is None else chosen.grounded(scene)
            frames = filming.generate(references, cloud, trajectory, Until(progress, end))
        except FAILURES as err:
            if not self._can_do_without(chosen, err):
                return Synthesis(report={"reason": str(err)})
            return self.film(references, cloud, trajectory, progress, scene)
        if not frames and monotonic() > end:
            slow = (
                f"{chosen.name} completed nothing within the {self.config.seconds:g} s of synthesis.seconds"
            )
            report = {**report, "reason": f"{slow} (live: live_seconds)"}
        return Synthesis(frames, chosen.name, report)

    def _can_do_without(self, failing: Synthesizer, err: Exception) -> bool:
        """Drop one that failed, if another one is left, and choose anew; tell whether there is one."""
        left = [each for each in self._running if each.name != failing.name]
        if left and len(left) < len(self._running):
            self._running, self._failed[failing.name] = left, str(err)
            self.forget()
            return True
        return False

    def _choice(
        self, references: Sequence[Reference], progress: Progress
    ) -> tuple[Synthesizer, dict[str, Any]]:
        if self._chosen is None or len(references) >= 2 * self._measured_on:
            running = self._adapted(references, progress)
            began = monotonic()
            best, report = choose(running, references, self.config, progress, self._unfilmed)
            self._spent += monotonic() - began
            self._failed |= report.get("failed", {})
            self._running = [each for each in self._running if each.name not in self._failed]
            left = {"not_asked": self._not_asked, "failed": dict(self._failed)}
            chosen = (best, {**report, **{what: why for what, why in left.items() if why}})
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
        self._not_asked.pop(ADAPTED, None)
        if adapted.adapted:
            return [adapted, *self._running]
        if not progress.cancelled():
            self._not_asked[ADAPTED] = NOTHING_TO_LEARN
        return self._running


def _why_nothing(config: SynthesisConfig, trajectory: Trajectory) -> str:
    if config.method == "none":
        return "synthesis.method is none"
    return "no view with depth" if len(trajectory) else "; ".join(["no path", *trajectory.notes])
