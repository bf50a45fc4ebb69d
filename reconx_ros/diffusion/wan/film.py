"""One window through the unchanged diffusers pipeline."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL.Image import Image
from torch import Tensor

from reconx_ros.diffusion.wan.conditions import Conditions
from reconx_ros.diffusion.wan.config import WanConfig
from reconx_ros.diffusion.wan.memory import Mode
from reconx_ros.diffusion.wan.structure_branch import StructureBranch
from reconx_ros.diffusion.wan.structure_guidance import conditional_weight, structure_guided

if TYPE_CHECKING:
    from diffusers import WanVACEPipeline


class Stopped(Exception):  # noqa: N818 - no error: somebody asked
    """The filming was asked to stop between two steps."""


class NotFinite(ArithmeticError):  # noqa: N818
    """The model gave NaN or infinity."""


@dataclass(frozen=True, eq=False)
class Film:
    """What films: a loaded pipeline, its prompt, and its structure branch where it has one.

    Attributes:
        pipeline: a ``WanVACEPipeline``, on its device.
        prompt: [1, 512, width] embedding.
        negative: the same of the negative prompt; ``None`` without guidance.
        branch: installed in the pipeline's transformer.
        config: how to film.
        mode: how it lies in memory.
    """

    pipeline: "WanVACEPipeline"
    prompt: Tensor
    negative: Tensor | None
    branch: StructureBranch | None
    config: WanConfig
    mode: Mode = "none"

    def __call__(
        self,
        given: Conditions,
        images: Sequence[Image],
        tokens: Tensor | None,
        seed: int,
        step: Callable[[int], bool],
    ) -> Tensor:
        """Film one window.

        Args:
            given: its conditions.
            images: whole reference images.
            tokens: [1, T, width] of the structure; ``None`` leaves the branch out.
            seed: of the noise.
            step: told the number of steps done; says whether to go on.

        Returns:
            [F, 3, H, W] float32 in [0, 1] on the CPU, as decoded.

        Raises:
            Stopped: ``step`` said no.
            NotFinite: the model gave NaN.
        """

        def after_step(_: object, done: int, __: object, state: dict[str, Tensor]) -> dict[str, Tensor]:
            if not bool(torch.isfinite(state["latents"]).all()):
                raise NotFinite(f"not finite after step {done + 1}")
            if not step(done + 1):
                raise Stopped
            return {}

        (height, width), where = given.image.shape[-2:], self.pipeline._execution_device
        try:
            with self._structure(tokens):
                frames: Tensor = self.pipeline(
                    video=given.video,
                    mask=given.mask,
                    reference_images=list(images) or None,
                    conditioning_scale=self.config.conditioning,
                    prompt_embeds=self.prompt.to(where),
                    negative_prompt_embeds=None if self.negative is None else self.negative.to(where),
                    height=height,
                    width=width,
                    num_frames=len(given.image),
                    num_inference_steps=self.config.steps,
                    guidance_scale=self.config.guidance,
                    generator=torch.Generator("cpu").manual_seed(seed),
                    output_type="pt",
                    callback_on_step_end=after_step,
                ).frames[0]
        except BaseException:  # what was brought to the GPU goes back
            self.pipeline.maybe_free_model_hooks()
            raise
        if not bool(torch.isfinite(frames).all()):
            raise NotFinite("not finite after decoding")
        return frames.float().cpu()

    def _structure(self, tokens: Tensor | None) -> AbstractContextManager[None]:
        if tokens is None or self.branch is None:
            return nullcontext()
        weight = conditional_weight(self.config.guidance, self.config.structure_guidance)
        return structure_guided(self.pipeline.transformer, self.branch, tokens, weight)
