"""The small model, and the fill it starts from, as synthesizers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reconx_ros.camera import Camera
from reconx_ros.diffusion.config import SmallConfig
from reconx_ros.diffusion.exact import taken
from reconx_ros.diffusion.protocol import GeneratedFrame, Scene
from reconx_ros.diffusion.reliability import Floats, Reliability, load
from reconx_ros.diffusion.seen import also_seen
from reconx_ros.diffusion.small.film import Film, FilmOutput
from reconx_ros.diffusion.small.half import half_pays
from reconx_ros.diffusion.small.load import load_film
from reconx_ros.diffusion.small.names import ADAPTED, CURVES, FILL, SMALL
from reconx_ros.diffusion.small.sampling import Grounding, Guidance
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.machine import ran_out_of_memory
from reconx_ros.progress import Progress
from reconx_ros.structure.config import SHORT_CLIP
from reconx_ros.structure.nearest import showing
from reconx_ros.structure.reference import Reference
from reconx_ros.structure.trajectory import Trajectory, takes_of

WEIGHTS = Path(__file__).parents[1] / "weights" / "reconx-small"


ADAPTED_WIDTH = 128
"""Pixels that a model is adapted at, as it was trained at."""

LEAST_ALPHA = 1e-3
MULTIPLE = 8
"""Sides of a generated frame are multiples of this, so that all resolutions of the model are whole."""


@dataclass(frozen=True, eq=False)
class SmallSynthesizer:
    """Films with the small model, or with the fill that learns nothing where ``learned`` is false.

    Attributes:
        film: the model.
        curves: reliability of both, by name.
        config: how to film.
        learned: whether the model has a say.
        adapted: steps it was trained for on the run's own keyframes.
        scene: the map so far, which frames keep to as strongly as ``config.grounding`` says.
        seconds: time after which no further frames are begun.
    """

    film: Film
    curves: dict[str, Reliability]
    config: SmallConfig
    learned: bool = True
    seconds: float = float("inf")
    adapted: int = 0
    scene: Scene | None = None

    @classmethod
    def load(cls, config: SmallConfig, device: str, seconds: float = float("inf")) -> "SmallSynthesizer":
        """Load the weights that ``config`` names, the shipped ones by default.

        Raises:
            SynthesisError: the folder holds no such model, or it is damaged.
        """
        folder = config.weights or WEIGHTS
        return cls(load_film(folder, device), load(folder / CURVES), config, True, seconds)

    @property
    def name(self) -> str:
        """``small``, ``small-adapted`` or ``push-pull``."""
        return FILL if not self.learned else ADAPTED if self.adapted else SMALL

    @property
    def clip(self) -> int:
        """Short clips: they see more places, and each frame is filmed well alone."""
        return SHORT_CLIP

    def unlearned(self) -> "SmallSynthesizer":
        """Return the fill that the model starts from, as a synthesizer of its own."""
        return replace(self, learned=False)

    def adapt(
        self,
        references: Sequence[Reference],
        untouched: Collection[int],
        seconds: float,
        progress: Progress,
    ) -> "SmallSynthesizer":
        """Return the synthesizer with its model trained on the run's own keyframes (``training/adapt.py``).

        Args:
            references: the keyframes.
            untouched: numbers of those that the contest asks about.
            seconds: of training.
            progress: told about each step; asked whether to stop.
        """
        from reconx_ros.diffusion.training.adapt import adapt  # noqa: PLC0415  (only where asked for)

        width, height = _size(references[0].camera, ADAPTED_WIDTH)
        parts = (self.film.network, self.film.encoder)
        model, encoder, steps = adapt(*parts, references, untouched, (height, width), seconds, progress)
        film = replace(self.film, network=model, encoder=encoder)
        curves = {**self.curves, ADAPTED: self.curves[SMALL]}
        return replace(self, film=film, curves=curves, adapted=steps)

    def believed(self, said: Floats, right: NDArray[np.bool_]) -> "SmallSynthesizer":
        """Return the synthesizer with its confidence shifted to how often it was right."""
        return replace(self, curves={**self.curves, self.name: self.curves[self.name].shifted(said, right)})

    def grounded(self, scene: Scene) -> "SmallSynthesizer":
        """Return the synthesizer that keeps to what ``scene`` shows."""
        return replace(self, scene=scene)

    def generate(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        trajectory: Trajectory,
        progress: Progress,
    ) -> tuple[GeneratedFrame, ...]:
        """Film ``trajectory``, clip by clip; see ``protocol.Synthesizer``.

        What a reference has taken is not filmed: it would not make its clip any better, by 0.01 dB.
        """
        frames: dict[int, GeneratedFrame] = {}
        cameras = [camera.resized(*_size(camera, self.config.width)) for camera in trajectory.cameras]
        end = monotonic() + self.seconds
        for start, stop in takes_of(trajectory):
            if progress.cancelled() or monotonic() > end:
                break
            real = {number: taken(cameras[number], references) for number in range(start, stop)}
            new = [number for number in range(start, stop) if real[number] is None and number not in frames]
            made = self._film(references, cloud, [cameras[number] for number in new], progress)
            if len(made) == len(new):
                frames |= {number: frame for number, frame in real.items() if frame is not None}
                frames |= dict(zip(new, made, strict=True))
            progress.update("synthesis", stop, len(trajectory))
        return tuple(frames[number] for number in sorted(frames))

    def _film(
        self,
        references: Sequence[Reference],
        cloud: PointCloud,
        cameras: Sequence[Camera],
        progress: Progress,
    ) -> list[GeneratedFrame]:
        """Film a clip at the size of ``cameras``; none of it where it is stopped or no view shows any."""
        near = showing(references, cameras[len(cameras) // 2], self.config.references) if cameras else []
        if not near:
            return []
        config, device = self.config, str(self.film.device)
        try:
            made = self.film(
                near,
                cameras,
                cloud if config.structure_guidance > 0 else None,
                steps=config.steps if self.learned else 0,
                samples=config.samples,
                seed=config.seed,
                guidance=Guidance(config.reference_guidance, config.structure_guidance),
                grounding=self._grounding(cameras),
                window=config.window,
                overlap=min(config.overlap, config.window - 1),
                precision=torch.bfloat16 if config.bf16 and half_pays(device) else None,
                proceed=lambda: not progress.cancelled(),
            )
        except Exception as err:  # torch, numpy and OpenCV have different ones
            if not ran_out_of_memory(err):
                raise
            size = f"{cameras[0].width}x{cameras[0].height}"
            raise SynthesisError(f"out of memory filming at {size}: lower synthesis.small.width") from err
        curve = self.curves[self.name]
        if made is None:
            return []
        frames = [_frame(made, at, camera, curve, config.reach) for at, camera in enumerate(cameras)]
        others = [each for each in references if all(each is not one for one in near)]
        return [also_seen(frame, others, device) for frame in frames]

    def _grounding(self, cameras: Sequence[Camera]) -> Grounding | None:
        if self.scene is None or self.config.grounding == 0:
            return None
        seen = [self.scene(camera) for camera in cameras]
        color, alpha = (
            torch.from_numpy(np.stack(part)).to(self.film.device) for part in zip(*seen, strict=True)
        )
        plain = color / alpha[..., None].clamp(min=LEAST_ALPHA)
        pull = self.config.grounding * alpha[:, None]
        return Grounding(plain.permute(0, 3, 1, 2)[None].clamp(0, 1), pull[None])


def _size(camera: Camera, width: int) -> tuple[int, int]:
    """Return width and height of a generated frame: as wide as asked, never wider than the camera's."""
    scale = min(1.0, width / camera.width)
    sides = (
        max(MULTIPLE, MULTIPLE * round(side * scale / MULTIPLE)) for side in (camera.width, camera.height)
    )
    across, down = sides
    return across, down


def _frame(made: FilmOutput, at: int, camera: Camera, curve: Reliability, reach: float) -> GeneratedFrame:
    image = (made.frames[at] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    deviation, depth, seen = (
        each[at, 0].float().cpu().numpy() for each in (made.deviation, made.depth, made.covered)
    )
    return GeneratedFrame(
        image=np.ascontiguousarray(image),
        confidence=np.where(
            _away(seen > 0) <= reach * camera.width, curve.confidence(deviation), np.float32(0)
        ),
        depth=np.where(depth > 0, depth, np.nan).astype(np.float32),
        seen=seen > 0,
        camera=camera,
    )


def _away(seen: NDArray[np.bool_]) -> Floats:
    """Return for each pixel [H, W] how many pixels it is from the nearest that a keyframe shows."""
    if not seen.any():
        return np.full(seen.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform((~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5))
