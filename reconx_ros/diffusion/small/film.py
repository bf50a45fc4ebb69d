"""References, cameras and a cloud to frames, with the small model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from reconx_ros.camera import Camera
from reconx_ros.diffusion.small.blend import cropped
from reconx_ros.diffusion.small.clouds import PointNetwork, Points
from reconx_ros.diffusion.small.fold import LAYERS, fold, order, widened
from reconx_ros.diffusion.small.lean import lean
from reconx_ros.diffusion.small.network import Prediction, SmallNetwork
from reconx_ros.diffusion.small.observation import Observation, middle_exposure, observe
from reconx_ros.diffusion.small.sampling import (
    AS_TRAINED,
    Grounding,
    Guidance,
    Scheduler,
    grounded,
    guided,
    sample,
)
from reconx_ros.diffusion.small.windows import Window, blended, windows
from reconx_ros.errors import SynthesisError
from reconx_ros.geometry.protocol import PointCloud, map_confidence
from reconx_ros.structure.composite import front_depth
from reconx_ros.structure.conditioning import render_conditioning
from reconx_ros.structure.conditioning_render import ConditioningRender
from reconx_ros.structure.encoder import StructureTokens
from reconx_ros.structure.exposure import estimate_exposure
from reconx_ros.structure.reference import Reference, batch, camera_tensors

OVERSCAN = 0.25
"""As in training."""

LEAST_DOUBT = 1e-3


@dataclass(frozen=True, eq=False)
class FilmOutput:
    """F frames.

    Attributes:
        frames: [F, 3, h, w] float32 in [0, 1].
        deviation: [F, 1, h, w] standard deviation of colour that is expected.
        depth: [F, 1, h, w] along the optical axis, guessed in holes; 0 where nothing is known at all.
        covered: [F, 1, h, w], 1 where a reference shows the pixel with measured depth.
    """

    frames: Tensor
    deviation: Tensor
    depth: Tensor
    covered: Tensor


@dataclass(frozen=True, eq=False)
class Film:
    """Films what references and a cloud show of given cameras, and what they do not show.

    Attributes:
        network: the model.
        encoder: of the cloud; without it the structure branch is left out.
        scheduler: makes the steps of the flow; asked for where there are several.
    """

    network: SmallNetwork
    encoder: PointNetwork | None
    scheduler: Callable[[], Scheduler]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def __call__(
        self,
        references: Sequence[Reference],
        cameras: Sequence[Camera],
        cloud: PointCloud | None = None,
        *,
        steps: int = 1,
        samples: int = 1,
        seed: int = 0,
        guidance: Guidance = AS_TRAINED,
        grounding: Grounding | None = None,
        window: int = 8,
        overlap: int = 2,
        precision: torch.dtype | None = None,
        proceed: Callable[[], bool] = lambda: True,
    ) -> FilmOutput | None:
        """Film ``cameras``.

        Args:
            references: R ≥ 1 views with depth; any number, the best two of each pixel are used.
            cameras: F ≥ 1 of one size.
            cloud: the structure condition.
            steps: 0 gives the fill that learns nothing, with the uncertainty map as its deviation; 1
                the mean; more steps draw samples by flow matching.
            samples: how many are drawn and averaged; what they disagree in adds to ``deviation``.
            seed: of the noise; the same seed gives the same frames on the same machine.
            guidance: of references and structure, apart.
            grounding: renders of the map so far to stay close to.
            window: frames the model sees at once.
            overlap: frames neighbouring windows share.
            precision: of autocast; none where not given.
            proceed: asked before each step; where it says no the answer is ``None``.

        Raises:
            SynthesisError: nothing to film from, numbers out of range, or the model gave NaN.
        """
        # 0: is this possible?
        _checked(steps, samples, window, overlap)
        # 1: what the references show along the path, the best two of each pixel
        render, bright = self._render(references, cameras)
        near = references[: self.network.sizes.references]
        # 2: the structure condition
        tokens = self._tokens(cloud, near[0], seed)
        # 3: the frames, window by window, from one noise
        noise = self._noise(bright, samples, seed)
        parts: list[tuple[Window, Prediction]] = []
        seen = []
        for part in windows(len(cameras), window, overlap):
            seen.append((part, self._observed(render, bright, near, cameras, part)))
            with torch.autocast(
                self.device.type, precision or torch.bfloat16, enabled=precision is not None
            ):
                made = self._filmed(seen[-1][1], tokens, noise, part, steps, guidance, grounding, proceed)
            if made is None:
                return None
            parts.append((part, made))
        # 4: one clip of them
        return _joined(parts, seen, bright, len(cameras))

    def _render(
        self, references: Sequence[Reference], cameras: Sequence[Camera]
    ) -> tuple[ConditioningRender, ConditioningRender]:
        """Return what is shown as taken and at the middle exposure, folded to two layers."""
        plain = render_conditioning(
            references, cameras, overscan=OVERSCAN, match=False, device=str(self.device)
        )
        bright = plain.exposed(middle_exposure(estimate_exposure(plain)))
        plain, bright = widened(plain, LAYERS), widened(bright, LAYERS)
        chosen = order(bright, LAYERS)
        return fold(plain, chosen), fold(bright, chosen)

    def _tokens(self, cloud: PointCloud | None, first: Reference, seed: int) -> StructureTokens | None:
        if cloud is None or not len(cloud) or self.encoder is None:
            return None
        arrays = (cloud.points, cloud.colors / 255.0, map_confidence(cloud.confidence))
        points, color, confidence = (
            torch.from_numpy(each).float()[None].to(self.device) for each in arrays
        )
        known = torch.ones(confidence.shape, dtype=torch.bool, device=self.device)
        _, pose = camera_tensors([first.camera])
        drawn = Generator().manual_seed(seed)
        given = Points(points, color, confidence, known)
        return self.encoder(given, pose[0].to(self.device), drawn)  # type: ignore[no-any-return]

    def _noise(self, render: ConditioningRender, samples: int, seed: int) -> list[Tensor]:
        shape = (1, render.color.shape[1], 3, *render.size)
        drawn = Generator().manual_seed(seed)
        return [torch.randn(shape, generator=drawn).to(self.device) for _ in range(samples)]

    def _observed(
        self,
        render: ConditioningRender,
        bright: ConditioningRender,
        near: Sequence[Reference],
        cameras: Sequence[Camera],
        part: Window,
    ) -> Observation:
        size = (cameras[0].height, cameras[0].width)
        given = batch(near, size, str(self.device))
        intrinsics, poses = camera_tensors(cameras[part.frames])
        few = [each.mapped(lambda image: image[:, part.frames]) for each in (render, bright)]
        seen = observe(
            few[0],
            few[1],
            given.color,
            given.depth.nan_to_num(0.0),
            intrinsics[:, 0].to(self.device),
            given.world_from_camera,
            poses.to(self.device),
        )
        return lean(seen)

    def _filmed(
        self,
        seen: Observation,
        tokens: StructureTokens | None,
        noise: Sequence[Tensor],
        part: Window,
        steps: int,
        guidance: Guidance,
        grounding: Grounding | None,
        proceed: Callable[[], bool],
    ) -> Prediction | None:
        if grounding is not None:
            grounding = Grounding(grounding.color[:, part.frames], grounding.alpha[:, part.frames])
        if not proceed():
            return None
        if steps == 0:
            fill, doubt = (cropped(each, seen.margin) for each in (seen.base, seen.uncertainty))
            return Prediction(fill, 2 * doubt.clamp(min=LEAST_DOUBT).log())
        if steps == 1:
            return _finite(grounded(guided(self.network, seen, tokens, guidance), grounding))
        drawn = []
        for each in noise:
            mine = _middle(each[:, part.frames], seen.base)
            one = sample(
                self.network, self.scheduler(), seen, tokens, mine, steps, guidance, grounding, proceed
            )
            if one is None:
                return None
            drawn.append(_finite(one))
        return _averaged(drawn)


def _checked(steps: int, samples: int, window: int, overlap: int) -> None:
    for name, value, least in (("steps", steps, 0), ("samples", samples, 1), ("window", window, 1)):
        if value < least:
            raise SynthesisError(f"{name} {value}: at least {least} is needed")
    if not 0 <= overlap < window:
        raise SynthesisError(f"overlap {overlap} of windows of {window} frames: 0 to {window - 1}")


def _middle(image: Tensor, like: Tensor) -> Tensor:
    """Cut the middle of the size of ``like`` out of an image [..., H, W]."""
    rows, columns = ((image.shape[at] - like.shape[at]) // 2 for at in (-2, -1))
    return cropped(image, (rows, columns))


def _averaged(drawn: Sequence[Prediction]) -> Prediction:
    """Return the mean of samples; the variance is theirs plus what they disagree in."""
    images = torch.stack([each.image for each in drawn])
    variance = torch.stack([each.log_variance.exp() for each in drawn]).mean(0)
    if len(drawn) > 1:
        variance = variance + images.var(0).mean(2, keepdim=True)
    return Prediction(images.mean(0), variance.log())


def _finite(prediction: Prediction) -> Prediction:
    if not bool(torch.isfinite(prediction.image).all() & torch.isfinite(prediction.log_variance).all()):
        raise SynthesisError("the model gave NaN: half precision overflowed, or the weights are damaged")
    return prediction


def _joined(
    parts: Sequence[tuple[Window, Prediction]],
    seen: Sequence[tuple[Window, Observation]],
    bright: ConditioningRender,
    frames: int,
) -> FilmOutput:
    def clip(rows: list[tuple[Window, Tensor]]) -> Tensor:
        return blended(rows, frames)[0]

    def cut(image: Tensor) -> Tensor:
        return bright.crop(image)

    measured, known = front_depth(bright)
    guess = clip([(part, cropped(each.distance, each.margin)) for part, each in seen])
    deviation = clip([(part, made.log_variance.float().exp().sqrt()) for part, made in parts])
    return FilmOutput(
        frames=clip([(part, made.image.float()) for part, made in parts]).clamp(0, 1),
        deviation=deviation,
        depth=torch.where(cut(known)[0] > 0, cut(measured)[0], guess),
        covered=cut(bright.coverage.amax(2))[0],
    )
