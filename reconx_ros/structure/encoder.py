"""The structure encoder of the paper: a point cloud to a set of tokens (equation by equation).

    P~   = FPS(P, T)                              farthest-point subsample (``farthest.py``)
    e(p) = W [sin(2ᵏπp), cos(2ᵏπp), p, colour, confidence] + b     (``fourier.py``), p normalised
    X    = e(P~) + CrossAttn(LN(e(P~)), LN(e(P)))
    F(P) = X + FFN(LN(X))

which is F(P) = FFN(CrossAttn(PosEmb(P~), PosEmb(P))) with the residuals and pre-normalisation of
3DShape2VecSet, that the paper builds on. The paper leaves token count, width, heads, normalisation
(``point_frame.py``) and point features open; they are configuration here.
"""

from dataclasses import dataclass

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from reconx_ros.settings import Settings
from reconx_ros.structure.attention import CrossAttention, FeedForward
from reconx_ros.structure.farthest import farthest_points
from reconx_ros.structure.fourier import feature_count, fourier_features
from reconx_ros.structure.point_frame import normalised_from_world, transform


class EncoderConfig(Settings):
    """Size of the structure encoder."""

    tokens: int = Field(1024, ge=1, description="queries, and so tokens, for each cloud")
    width: int = Field(256, ge=1, description="channels of a token; a multiple of heads")
    heads: int = Field(4, ge=1, description="attention heads")
    frequencies: int = Field(8, ge=1, le=16, description="Fourier frequencies for each axis")
    expansion: float = Field(4.0, gt=0, description="width of the feed-forward layer over width")
    color: bool = Field(True, description="give the encoder the points' colours")
    confidence: bool = Field(True, description="give the encoder the points' confidences")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "EncoderConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


@dataclass(frozen=True, eq=False)
class StructureTokens:
    """What the encoder says of B clouds.

    Attributes:
        tokens: [B, T, width].
        positions: [B, T, 3], where each token sits in the normalised frame.
        mask: [B, T] bool, false for the tokens of a cloud without points.
        normalised_from_world: [B, 4, 4] float64 similarity (``point_frame.py``); other rooms can put
            rays and cameras into the tokens' frame with it.
    """

    tokens: Tensor
    positions: Tensor
    mask: Tensor
    normalised_from_world: Tensor


class StructureEncoder(nn.Module):
    """F(P), trained with the diffusion model."""

    def __init__(self, config: EncoderConfig) -> None:
        """Create the encoder with random weights."""
        super().__init__()
        self.config = config
        features = feature_count(config.frequencies) + 3 * config.color + config.confidence
        self.embed = nn.Linear(features, config.width)
        self.norm_queries = nn.LayerNorm(config.width)
        self.norm_points = nn.LayerNorm(config.width)
        self.attention = CrossAttention(config.width, config.heads)
        self.norm_feed = nn.LayerNorm(config.width)
        self.feed = FeedForward(config.width, round(config.width * config.expansion))

    def forward(
        self,
        points: Tensor,
        world_from_camera: Tensor,
        *,
        color: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> StructureTokens:
        """Encode clouds of up to P points.

        Args:
            points: [B, P, 3] in the world.
            world_from_camera: [B, 4, 4] of the first reference camera.
            color: [B, P, 3] RGB in [0, 1]; needed where the configuration asks for colour.
            confidence: [B, P] in [0, 1]; needed where the configuration asks for it.
            mask: [B, P] bool, false for padding; all true where not given.

        Raises:
            ValueError: a point feature that the configuration asks for is missing.
        """
        valid = torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
        valid = (valid if mask is None else mask) & torch.isfinite(points).all(-1)
        frame = normalised_from_world(points, valid, world_from_camera)
        local = transform(frame, points.double()).to(self.embed.weight.dtype)
        local = torch.where(valid[..., None], local, 0.0)
        queries = farthest_points(local, valid, self.config.tokens)
        keys = self._embedded(local, valid, color, confidence)
        tokens = keys.gather(1, queries[..., None].expand(-1, -1, keys.shape[-1]))
        some = valid.any(dim=1, keepdim=True)
        attended = self.attention(self.norm_queries(tokens), self.norm_points(keys), valid | ~some)
        tokens = tokens + attended
        tokens = tokens + self.feed(self.norm_feed(tokens))
        positions = local.gather(1, queries[..., None].expand(-1, -1, 3))
        return StructureTokens(tokens, positions, some.expand(queries.shape), frame)

    def _embedded(
        self, local: Tensor, valid: Tensor, color: Tensor | None, confidence: Tensor | None
    ) -> Tensor:
        """Return e(p) of every point, [B, P, width]."""
        parts = [fourier_features(local, self.config.frequencies)]
        wanted = ((self.config.color, "color", color), (self.config.confidence, "confidence", confidence))
        for asked, name, given in wanted:
            if asked and given is None:
                raise ValueError(f"the encoder was configured with {name}, but none was given")
            if asked and given is not None:
                feature = given if given.dim() == 3 else given[..., None]
                parts.append(torch.where(valid[..., None], feature, 0.0).to(local.dtype))
        return self.embed(torch.cat(parts, dim=-1))  # type: ignore[no-any-return]
