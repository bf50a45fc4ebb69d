"""Wan-VACE as a synthesizer."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.diffusion.protocol import GeneratedFrame, Scene
from reconx_ros.diffusion.wan.clips import Window, film_size, padded, windows
from reconx_ros.diffusion.wan.conditions import Conditions, conditions
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.doubt import provisional_curve
from reconx_ros.diffusion.wan.film import NotFinite, Stopped
from reconx_ros.diffusion.wan.frames import generated_frame
from reconx_ros.diffusion.wan.load import located
from reconx_ros.diffusion.wan.loaded import Loaded
from reconx_ros.diffusion.wan.memory import memory_named
from reconx_ros.diffusion.wan.roll import Roll, take
from reconx_ros.diffusion.wan.studio import open_film
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.progress import Progress
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory, takes_of

Floats = NDArray[np.float32]

STAGE = "synthesis"


class WanVaceSynthesizer:
    """Films with ``WanVACEPipeline``: renders of the references and the cloud, their holes generated."""

    name = "wan-vace"

    def __init__(
        self, loaded: Loaded, folder: Path, config: WanConfig, device: str, seconds: float = float("inf")
    ) -> None:
        """Use ``load``."""
        self._loaded, self._folder, self._config, self._device = loaded, folder, config, device
        self._seconds = seconds
        self._curve = provisional_curve()

    @classmethod
    def load(cls, config: WanConfig, device: str, seconds: float = float("inf")) -> "WanVaceSynthesizer":
        """Load the model that ``config`` names.

        Args:
            config: which model, and how it films.
            device: ``cpu`` or ``cuda``.
            seconds: time after which filming ends, at the next step.

        Raises:
            SynthesisError: the folder or id is not there or no whole Wan-VACE; a file is damaged; the
                structure weights belong to another model; memory ran out.
            MissingDependencyError: a package of the extra ``wan`` is needed and not installed.
        """
        folder = located(config.model)
        loaded = Loaded(open_film(folder, config, device), folder, device)
        return cls(loaded, folder, config, device, seconds)

    @property
    def clip(self) -> int:
        """A whole window: shorter clips are padded, longer ones filmed in several."""
        return self._config.window

    def believed(self, said: Floats, right: NDArray[np.bool_]) -> "WanVaceSynthesizer":
        """Return the synthesizer with its confidence shifted to how often it was right."""
        other = WanVaceSynthesizer(self._loaded, self._folder, self._config, self._device, self._seconds)
        other._curve = self._curve.shifted(said, right)
        return other

    def grounded(self, scene: Scene) -> "WanVaceSynthesizer":
        """Return itself: covered pixels keep to the references in its control video already."""
        return self

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Film ``trajectory``, clip by clip and window by window; see ``protocol.Synthesizer``.

        Where it is stopped or its time is over, between two steps, the windows that are complete are
        returned; one that lacks samples only is complete.

        Raises:
            SynthesisError: time was over before the first window was complete; memory ran out; the model
                gives NaN in fp32, or cannot be loaded so.
        """
        takes = takes_of(trajectory)
        plans = [windows(end - begin, self._config.window, self._config.overlap) for begin, end in takes]
        clock = Clock(progress, self._seconds, self._config, sum(len(plan) for plan in plans))
        frames: dict[int, GeneratedFrame] = {}
        last: dict[int, Tensor] = {}
        for (begin, end), plan in zip(takes, plans, strict=True):
            if clock.over():
                break
            cameras = trajectory.cameras[begin:end]
            roll, found = self._clip(references, cloud, cameras, plan, last.get(begin), clock)
            for number, frame in enumerate(found, begin):
                frames.setdefault(number, frame)
            if len(roll):
                last[begin + len(roll) - 1] = roll.image[-1]
        if not frames and clock.late():
            raise SynthesisError(clock.too_slow())
        return tuple(frames[number] for number in sorted(frames))

    def _clip(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        cameras: Sequence[Camera],
        plan: Sequence[Window],
        first: Tensor | None,
        clock: "Clock",
    ) -> tuple[Roll, list[GeneratedFrame]]:
        """Film one clip, from the image ``first`` on where the clip before ended with it."""
        chosen, roll = _showing(references, cameras, self._config.references), Roll()
        if not chosen:
            return roll, []
        small = [camera.resized(*film_size(cameras[0], self._config.pixels)) for camera in cameras]
        tokens = self._tokens(cloud, chosen[0].camera)
        for window in plan:
            if clock.over():
                break
            before = roll.image[window.start] if window.shared else first
            with memory_named(self._config, self._loaded.film.mode):
                given = conditions(chosen, padded(small, window), cloud, self._device, before)
                draws = self._draws(given, chosen, tokens, clock)
            if not draws:
                break
            roll.add(window, take(given, draws, self._config.feather))
            clock.windows += 1
        views = [chosen[roll.real[at]] if at in roll.real else None for at in range(len(roll))]
        return roll, [generated_frame(roll, n, cameras[n], self._curve, v) for n, v in enumerate(views)]

    def _tokens(self, cloud: PointCloud, first: Camera) -> Tensor | None:
        branch = self._loaded.film.branch
        return branch.encode(cloud, first).tokens if branch is not None and len(cloud) else None

    def _draws(
        self, given: Conditions, chosen: Sequence[Reference], tokens: Tensor | None, clock: "Clock"
    ) -> list[Tensor]:
        """Return the samples of a window: fewer, or none, where it was stopped."""
        height, width = given.image.shape[-2:]
        most = min(self._config.reference_images, given.latents)  # diffusers takes no more
        images = [Image.fromarray(each.resized(height, width).image) for each in chosen[:most]]
        draws = []
        for sample in range(self._config.samples):
            clock.sample = sample
            try:
                draws.append(self._finite(given, images, tokens, self._config.seed + sample, clock))
            except Stopped:
                break
        return draws

    def _finite(
        self,
        given: Conditions,
        images: Sequence[Image.Image],
        tokens: Tensor | None,
        seed: int,
        clock: "Clock",
    ) -> Tensor:
        """Film; where half precision overflows, load the weights in fp32 for good and film again."""
        try:
            return self._loaded.film(given, images, tokens, seed, clock.step)
        except NotFinite as err:
            dtype = self._loaded.film.config.dtype
            reason = f"Wan-VACE gave NaN in {dtype} ({err})"
        if dtype == "fp32":
            raise SynthesisError(f"{reason}: the weights in {self._folder} are damaged")
        warnings.warn(f"{reason}; going on in fp32", RuntimeWarning, stacklevel=2)
        try:
            self._loaded.go_precise()
        except SynthesisError as err:
            raise SynthesisError(f"{reason}, and in fp32 it cannot be loaded: {err}") from err
        return self._finite(given, images, tokens, seed, clock)


class Clock:
    """Counts steps for the progress, and says when to end."""

    def __init__(self, progress: Progress, seconds: float, config: WanConfig, windows: int) -> None:
        """Begin to count; ``windows`` are to be filmed, ``seconds`` are allowed."""
        self._progress, self._config, self._seconds = progress, config, seconds
        self._total = windows * config.samples * config.steps
        self._of = windows
        self._end = monotonic() + seconds
        self.windows = self.sample = self.done = 0

    def late(self) -> bool:
        """Tell whether the time is over, and nobody asked to stop."""
        return monotonic() > self._end and not self._progress.cancelled()

    def over(self) -> bool:
        """Tell whether no further window should begin."""
        return self._progress.cancelled() or monotonic() > self._end

    def step(self, done: int) -> bool:
        """Report ``done`` steps of the current sample; say whether to go on (after the last: decode)."""
        steps, samples = self._config.steps, self._config.samples
        self.done = (self.windows * samples + self.sample) * steps + done
        note = f"window {self.windows + 1}/{self._of}"
        self._progress.update(STAGE, self.done, self._total, note)
        return not self._progress.cancelled() and (done == steps or not self.late())

    def too_slow(self) -> str:
        """Say that the time did not suffice, and what would help."""
        return (
            f"Wan-VACE completed no window within {self._seconds:g} s (it did {self.done} of {self._total} "
            "steps): raise synthesis.seconds (live: live_seconds), or lower synthesis.wan's steps or pixels"
        )


def _showing(references: Sequence[Reference], cameras: Sequence[Camera], count: int) -> list[Reference]:
    """Return up to ``count`` references: those that show most of the first, last and middle camera."""
    ranked = [showing(references, cameras[at], count) for at in (0, -1, len(cameras) // 2)]
    found: list[Reference] = []
    for place in range(count):
        for rank in ranked:
            if place < len(rank) and all(rank[place] is not each for each in found):
                found.append(rank[place])
    return found[:count]
