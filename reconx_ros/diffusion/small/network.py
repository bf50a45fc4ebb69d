"""The small model's network, which predicts frames from warped references; plain PyTorch.

Importing diffusers takes longer than filming: a map is filmed without it. ``model.py`` makes the same
network a diffusers model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reconx_ros.diffusion.small.blend import CENTRE, basis_count, blend, cropped
from reconx_ros.diffusion.small.layers import GuidedAttention, sinusoids, zeroed
from reconx_ros.diffusion.small.observation import PLANES_ALONE, PLANES_PER_REFERENCE, Observation
from reconx_ros.diffusion.small.unet import PlaceEmbedding, ReferenceEncoder, UNet, repeated
from reconx_ros.structure.encoder import StructureTokens
from reconx_ros.structure.point_frame import transform
from reconx_ros.structure.uncertainty import COVERED_SHARE

BASE_LOGIT = 4.0
"""How much an untrained head prefers the push-pull fill to any other."""

NOISE_PLANES = 3
USUAL_ERROR = 0.1
"""Standard deviation of colour that an untrained head expects."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """F frames of B clips, without margins.

    Attributes:
        image: [B, F, 3, h, w], nominally in [0, 1], not clipped.
        log_variance: [B, F, 1, h, w] of the colour error the model expects.
    """

    image: Tensor
    log_variance: Tensor


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network.

    Attributes:
        references: how many an observation shows.
        widths: channels at full, half, quarter and eighth resolution.
        time_width: channels of the time embedding.
        token_width: channels of reference and structure tokens.
        structure_width: width of the tokens that the structure encoder gives.
        heads: of all attention.
    """

    references: int = 2
    widths: Sequence[int] = (16, 48, 96, 192)
    time_width: int = 64
    token_width: int = 128
    structure_width: int = 256
    heads: int = 2


class SmallNetwork(nn.Module):
    """Blends fills pixel by pixel, and adds a residual where it is uncertain.

        image = Σ_k softmax(logits)_k fill_k + r · u · exp(−softplus(τ) d),

    with u the uncertainty map, d the depth of the hole as a share of its reach, and τ learned:
    deep in a hole nothing is known, and what is invented there costs more than it gains.
    """

    def __init__(self, sizes: Sizes) -> None:
        """Create the network with random weights; untrained it is close to the push-pull fill."""
        super().__init__()
        self.sizes = sizes
        planes = PLANES_PER_REFERENCE * sizes.references + PLANES_ALONE + NOISE_PLANES
        first, second = (nn.Linear(sizes.time_width, sizes.time_width) for _ in range(2))
        self.time = nn.Sequential(first, nn.SiLU(), second)
        self.reference_encoder = ReferenceEncoder(5, sizes.token_width)
        self.structure = nn.Linear(sizes.structure_width, sizes.token_width)
        self.structure_place = PlaceEmbedding(sizes.token_width)
        self.unet = UNet(planes, tuple(sizes.widths), sizes.time_width, sizes.token_width, sizes.heads)
        self.count = basis_count(sizes.references)
        self.head = nn.Conv2d(sizes.widths[0], self.count + 4, 3, 1, 1)
        self.shrink = nn.Parameter(torch.tensor(-1.0))
        zeroed(self.head)
        with torch.no_grad():
            self.head.bias[CENTRE] = BASE_LOGIT  # type: ignore[index]
            self.head.bias[-1] = 2 * math.log(USUAL_ERROR)  # type: ignore[index]

    def open_structure(self, least: float) -> None:
        """Raise every gate tanh(λ) of the structure attention to ``least``, in [0, 1), at least.

        At λ = 0 nothing teaches the branch but through λ itself, whose gradient is as random as the
        branch's first output: an open gate lets both learn at once.
        """
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, GuidedAttention):
                    layer.gate.clamp_(min=math.atanh(least))

    def forward(
        self,
        observation: Observation,
        structure: StructureTokens | None = None,
        residual: Tensor | None = None,
        timestep: Tensor | None = None,
        references: Tensor | None = None,
    ) -> Prediction:
        """Predict the clean frames.

        Args:
            observation: B clips of F frames.
            structure: tokens of each clip's cloud; ``None`` leaves the structure branch out.
            residual: [B, F, 3, H, W] noisy residual to ``observation.base`` (flow matching); nothing
                where not given, and then the prediction is the mean.
            timestep: [B] in [0, 1], 1 for pure noise and where not given.
            references: [B] bool, which clips may attend to their references; all where not given.
        """
        clips, frames = observation.base.shape[:2]
        noise = torch.zeros_like(observation.base) if residual is None else residual
        planes = torch.cat([observation.planes, noise], 2).flatten(0, 1)
        when = torch.ones(clips, device=planes.device) if timestep is None else timestep
        time = repeated(self.time(sinusoids(when, self.sizes.time_width)), frames)
        tokens = self._tokens(observation, structure, frames, references)
        features = self.unet(planes, time, observation.points, tokens, frames)
        out = self.head(features).float()
        return self._composed(observation, cropped(out, observation.margin))

    def _tokens(
        self,
        observation: Observation,
        structure: StructureTokens | None,
        frames: int,
        attended: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        references = self.reference_encoder(observation.reference_planes, observation.reference_points)
        if attended is not None:
            references = references * attended[:, None, None]
        if structure is None:
            return repeated(references, frames), None, None
        change = observation.frame @ torch.linalg.inv(structure.normalised_from_world)
        places = transform(change, structure.positions.double()).to(structure.tokens.dtype)
        tokens = self.structure(structure.tokens) + self.structure_place(places)
        return tuple(repeated(each, frames) for each in (references, tokens, structure.mask))  # type: ignore[return-value]

    def _composed(self, observation: Observation, out: Tensor) -> Prediction:
        blended = blend(observation, out[:, : self.count].softmax(1))
        uncertainty = cropped(observation.uncertainty, observation.margin).flatten(0, 1)
        deep = ((uncertainty - COVERED_SHARE) / (1 - COVERED_SHARE)).clamp(min=0)
        strength = uncertainty * torch.exp(-nn.functional.softplus(self.shrink) * deep)
        image = blended + strength * out[:, self.count : self.count + 3]
        clips, frames = observation.base.shape[:2]
        image, variance = (part.view(clips, frames, *part.shape[1:]) for part in (image, out[:, -1:]))
        return Prediction(image, variance)
