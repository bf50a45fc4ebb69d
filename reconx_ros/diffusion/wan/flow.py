"""The flow-matching loss of Wan-VACE, of latents made by the unchanged diffusers pipeline.

With x the latents of the true frames, ε noise and σ in (0, 1),

    x_σ = (1 − σ) x + σ ε,   the model's v(x_σ, σ) should be ε − x,   σ = s u / (1 + (s − 1) u), u uniform,

s the shift that is filmed with: where noise is high there is most to decide.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn.functional import mse_loss

from reconx_ros.diffusion.wan.lesson import Lesson

if TYPE_CHECKING:
    from diffusers import WanVACEPipeline

TIMES = 1000
"""Timestep of pure noise."""


@dataclass(frozen=True, eq=False)
class Latents:
    """A lesson as the transformer takes it, float32 on the pipeline's device.

    Attributes:
        control: [1, 96, n + T, h, w] what is shown.
        clean: [1, 16, n + T, h, w] of n reference images, then of the true frames.
        images: n.
    """

    control: Tensor
    clean: Tensor
    images: int


@torch.no_grad()
def latents_of(pipeline: "WanVACEPipeline", taught: Lesson) -> Latents:
    """Encode a lesson as ``WanVACEPipeline.__call__`` encodes what it is given."""
    frames, (height, width) = len(taught.truth), taught.truth.shape[-2:]
    size = (1, height, width, frames, torch.float32, pipeline._execution_device)
    given = taught.given
    video, mask, images = pipeline.preprocess_conditions(
        given.video, given.mask, taught.images or None, *size
    )
    truth, nothing, _ = pipeline.preprocess_conditions(
        taught.truth[None], torch.zeros_like(given.mask), taught.images or None, *size
    )
    control = torch.cat(
        [pipeline.prepare_video_latents(video, mask, images), pipeline.prepare_masks(mask, images)], 1
    )
    clean = pipeline.prepare_video_latents(truth, nothing, images).chunk(2, 1)[0]
    return Latents(control, clean, len(images[0]))


def flow_loss(
    pipeline: "WanVACEPipeline", prompt: Tensor, latents: Latents, shift: float, luck: Generator
) -> Tensor:
    """Return the mean square error of v over the frames, reference images left out.

    Args:
        pipeline: whose transformer learns; its structure branch shows what it is set to.
        prompt: [1, 512, width].
        latents: of a lesson.
        shift: s.
        luck: on the CPU; says σ and ε.
    """
    where, dtype = latents.clean.device, pipeline.transformer.patch_embedding.weight.dtype
    u = torch.rand(1, generator=luck)
    sigma = (shift * u / (1 + (shift - 1) * u)).to(where)
    noise = torch.randn(latents.clean.shape, generator=luck).to(where)
    (said,) = pipeline.transformer(
        hidden_states=torch.lerp(latents.clean, noise, sigma).to(dtype),
        timestep=TIMES * sigma,
        encoder_hidden_states=prompt.to(where, dtype),
        control_hidden_states=latents.control.to(dtype),
        return_dict=False,
    )
    wanted = noise - latents.clean
    frames = slice(latents.images, None)
    return mse_loss(said.float()[:, :, frames], wanted[:, :, frames])
