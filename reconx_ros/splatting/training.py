"""The views of an optimisation: targets, exposures, the order they are drawn in, their evidence."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.splatting.appearance import Appearance
from reconx_ros.splatting.confidence import residuals, view_evidence
from reconx_ros.splatting.config import SplattingConfig
from reconx_ros.splatting.evidence import ViewEvidence
from reconx_ros.splatting.exposure import Exposures
from reconx_ros.splatting.gaussians import Floats
from reconx_ros.splatting.loss import Target
from reconx_ros.splatting.rasterize import Backend, rasterize
from reconx_ros.splatting.schedule import ViewSchedule
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.targets import TargetFactory
from reconx_ros.splatting.view import TrainingView


class TrainingSet:
    """The views trained on.

    Attributes:
        cameras: one a view.
        targets: one a view.
        exposures: gain and bias of each view.
        schedule: draws the next view.
        ignored: views left out because no pixel of theirs has any weight.
        device: where all of it is.
        backend: what draws it there.
    """

    backend: Backend

    def __init__(self, config: SplattingConfig, device: torch.device) -> None:
        self.cameras: list[Camera] = []
        self.targets: list[Target] = []
        self.exposures = Exposures(device, config.rates.exposure)
        self.schedule = ViewSchedule(config.seed, config.new_view_share, config.generated_share)
        self.ignored = 0
        self._factory = TargetFactory(config, device)
        self.device, self.backend = device, config.rasterizer
        self._evidence: list[ViewEvidence | None] = []
        self._oldest: list[int] = []
        self._observed: list[bool] = []

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.targets)

    @property
    def observed_count(self) -> int:
        """Number of real views."""
        return sum(self._observed)

    def is_observed(self, view: int) -> bool:
        """Return whether a view is real."""
        return self._observed[view]

    def add(self, views: Sequence[TrainingView]) -> None:
        """Add views; all or, on error, none.

        Raises:
            SplattingError: a view is not of its camera's size or has a negative confidence.
        """
        made = [(view, self._factory.make(view)) for view in views]
        used = [(view, target) for view, target in made if target is not None]
        self.ignored += len(made) - len(used)
        if used:
            observed = [view.provenance == OBSERVED for view, _ in used]
            new = [len(self) + place for place, real in enumerate(observed) if real]
            self._oldest = [*new, *self._oldest]
            self._observed += observed
            self.cameras += [view.camera for view, _ in used]
            self.targets += [target for _, target in used]
            self._evidence += [None] * len(used)
            self.exposures.add(len(used))
            self.schedule.add(
                len(used),
                [place for place, (view, _) in enumerate(used) if view.filmed],
                [place for place, real in enumerate(observed) if not real],
            )

    def keep(self, views: list[int]) -> None:
        """Drop all views but these, in this order."""
        place = {view: index for index, view in enumerate(views)}
        self.cameras = [self.cameras[view] for view in views]
        self.targets = [self.targets[view] for view in views]
        self._evidence = [self._evidence[view] for view in views]
        self._observed = [self._observed[view] for view in views]
        self._oldest = [place[view] for view in self._oldest if view in place]
        self.exposures.keep(views)
        self.schedule.keep(views)

    def to_cpu(self) -> None:
        """Bring all of it to the CPU, and draw it there from now on."""
        self.device, self.backend = torch.device("cpu"), "cpu"
        self.targets = self._factory.to_cpu(self.targets)
        self.exposures.to_cpu()

    def move(self, views: Iterable[int], motion: NDArray[np.float64]) -> None:
        """Move the cameras of ``views`` by a rigid ``motion`` [4, 4]."""
        for view in views:
            camera = self.cameras[view]
            self.cameras[view] = camera.moved(motion @ camera.world_from_camera)

    def start_again(self) -> None:
        """Begin with a map that no view has evidence for."""
        self._evidence = [None if each is None else ViewEvidence.none() for each in self._evidence]

    def rearrange(self, kept: NDArray[np.intp], before: int) -> None:
        """Keep the evidence on the rows ``kept`` of a map that had ``before``."""
        place = np.full(before, -1, np.intp)
        place[kept] = np.arange(len(kept))
        for view, evidence in enumerate(self._evidence):
            if evidence is not None:
                self._evidence[view] = evidence.rearranged(place)

    def evidence(self, state: GaussianState, refresh: int | None) -> Floats:
        """Return the summed evidence [N] of all observed views; see ``confidence``.

        What was generated, or reprojected, is no evidence of its own.

        Args:
            state: the map.
            refresh: most views that are looked at again, the longest unseen first; all if ``None``.
        """
        chosen = self._oldest[: len(self._oldest) if refresh is None else refresh]
        for view in chosen:
            self._evidence[view] = self._measure(view, state)
        self._oldest = [*self._oldest[len(chosen) :], *chosen]  # now, for what fails is asked for again
        return self._sum(range(len(self)), len(state))

    def last_evidence(self, leaving: Sequence[int], state: GaussianState) -> Floats:
        """Return the summed evidence [N] of the views ``leaving``; none of them stays unlooked at.

        The others are not looked at again: what they saw beside may have gone to rest by now.
        """
        for view in leaving:
            if self._observed[view] and self._evidence[view] is None:
                self._evidence[view] = self._measure(view, state)
        return self._sum(leaving, len(state))

    def measured(self) -> list[tuple[Camera, Floats]]:
        """Return camera and depth [H, W] (NaN where unknown) of the observed views that have any."""
        views = zip(self.cameras, self.targets, self._observed, strict=True)
        return [(c, t.depth.cpu().numpy()) for c, t, seen in views if seen and t.depth is not None]

    def appearance(self, views: Sequence[int] | None = None) -> Appearance:
        """Return the exposures of the observed ones of ``views`` (``None``: all) and their mean colour."""
        wanted = range(len(self)) if views is None else views
        real = [view for view in wanted if self._observed[view]]
        if not real:
            return Appearance.neutral()
        gains, biases = self.exposures.values[real].cpu().numpy().copy().transpose(1, 0, 2)
        means = torch.stack([self.targets[view].image.mean(dim=(0, 1)) for view in real])
        cameras = [self.cameras[view] for view in real]
        return Appearance.of(cameras, gains, biases, means.mean(dim=0).cpu().numpy())

    def _sum(self, views: Iterable[int], count: int) -> Floats:
        total = np.zeros(count, np.float32)
        for evidence in (self._evidence[view] for view in views):
            if evidence is not None:
                total[evidence.rows] += evidence.values
        return total

    def _measure(self, view: int, state: GaussianState) -> ViewEvidence:
        """Look at what a view may show of the map."""
        target, camera = self.targets[view], self.cameras[view]
        gain, bias = self.exposures.values[view]
        rows = state.in_view(camera)
        parameters = state.parameters.select(torch.from_numpy(rows).to(self.device))
        with torch.no_grad():
            render = rasterize(parameters, camera, backend=self.backend)
            color = render.color * gain + bias
            differences = residuals(color, target.image, render.depth, render.alpha, target.depth)
        return ViewEvidence.of(rows, view_evidence(parameters, camera, differences, self.backend))
