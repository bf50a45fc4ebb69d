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
from reconx_ros.diffusion.wan.film import Film, NotFinite, Stopped
from reconx_ros.diffusion.wan.frames import generated_frame
from reconx_ros.diffusion.wan.load import located
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
        self, film: Film, folder: Path, config: WanConfig, device: str, seconds: float = float("inf")
    ) -> None:
        """Use ``load``."""
        self._film, self._folder, self._config, self._device = film, folder, config, device
        self._seconds = seconds
        self._curve = provisional_curve()

    @classmethod
    def load(cls, config: WanConfig, device: str, seconds: float = float("inf")) -> "WanVaceSynthesizer":
        """Load the model that ``config`` names.

        Args:
            config: which model, and how it films.
            device: ``cpu`` or ``cuda``.
            seconds: time after which no further window is begun.

        Raises:
            SynthesisError: the folder or id is not there or no whole Wan-VACE; a file is damaged; the
                structure weights belong to another model; memory ran out.
            MissingDependencyError: a package of the extra ``wan`` is needed and not installed.
        """
        folder = located(config.model)
        return cls(open_film(folder, config, device), folder, config, device, seconds)

    def believed(self, said: Floats, right: NDArray[np.bool_]) -> "WanVaceSynthesizer":
        """Return the synthesizer with its confidence shifted to how often it was right."""
        other = WanVaceSynthesizer(self._film, self._folder, self._config, self._device, self._seconds)
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

        Where it is stopped, the windows that are complete are returned.
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
            with memory_named(self._config, self._film.mode):
                given = conditions(chosen, padded(small, window), cloud, self._device, before)
                draws = self._draws(given, chosen, tokens, clock)
            if draws is None:
                break
            roll.add(window, take(given, draws, self._config.feather))
            clock.windows += 1
        views = [chosen[roll.real[at]] if at in roll.real else None for at in range(len(roll))]
        return roll, [generated_frame(roll, n, cameras[n], self._curve, v) for n, v in enumerate(views)]

    def _tokens(self, cloud: PointCloud, first: Camera) -> Tensor | None:
        branch = self._film.branch
        return branch.encode(cloud, first).tokens if branch is not None and len(cloud) else None

    def _draws(
        self, given: Conditions, chosen: Sequence[Reference], tokens: Tensor | None, clock: "Clock"
    ) -> list[Tensor] | None:
        """Return the samples of a window; ``None`` where it was stopped."""
        height, width = given.image.shape[-2:]
        most = min(self._config.reference_images, given.latents)  # diffusers takes no more
        images = [Image.fromarray(each.resized(height, width).image) for each in chosen[:most]]
        draws = []
        for sample in range(self._config.samples):
            clock.sample = sample
            try:
                draws.append(self._finite(given, images, tokens, self._config.seed + sample, clock))
            except Stopped:
                return None
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
            return self._film(given, images, tokens, seed, clock.step)
        except NotFinite as err:
            if self._film.config.dtype == "fp32":
                raise SynthesisError(
                    f"Wan-VACE gave NaN in fp32 ({err}): the weights in {self._folder} are damaged"
                ) from err
            reason = f"Wan-VACE gave NaN in {self._film.config.dtype} ({err}); going on in fp32"
        warnings.warn(reason, RuntimeWarning, stacklevel=2)
        prompts = (self._film.prompt, self._film.negative)
        precise = self._film.config.model_copy(update={"dtype": "fp32"})
        del self._film
        self._film = open_film(self._folder, precise, self._device, prompts)
        return self._finite(given, images, tokens, seed, clock)


class Clock:
    """Counts steps for the progress, and says when to end."""

    def __init__(self, progress: Progress, seconds: float, config: WanConfig, windows: int) -> None:
        """Begin to count; ``windows`` are to be filmed, ``seconds`` are allowed."""
        self._progress, self._config, self._total = progress, config, windows
        self._end = monotonic() + seconds
        self.windows = self.sample = 0

    def over(self) -> bool:
        """Tell whether no further window should begin."""
        return self._progress.cancelled() or monotonic() > self._end

    def step(self, done: int) -> bool:
        """Report ``done`` steps of the current sample; tell whether to go on."""
        steps, samples = self._config.steps, self._config.samples
        before = (self.windows * samples + self.sample) * steps
        note = f"window {self.windows + 1}/{self._total}"
        self._progress.update(STAGE, before + done, self._total * samples * steps, note)
        return not self._progress.cancelled()


def _showing(references: Sequence[Reference], cameras: Sequence[Camera], count: int) -> list[Reference]:
    """Return up to ``count`` references: those that show most of the first, last and middle camera."""
    ranked = [showing(references, cameras[at], count) for at in (0, -1, len(cameras) // 2)]
    found: list[Reference] = []
    for place in range(count):
        for rank in ranked:
            if place < len(rank) and all(rank[place] is not each for each in found):
                found.append(rank[place])
    return found[:count]
