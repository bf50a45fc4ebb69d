"""What the model is given of a window: the rendered video, what of it to keep, and whole images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reconx_ros.camera import Camera
from reconx_ros.diffusion.exact import same_view
from reconx_ros.diffusion.wan.config import TIME_STRIDE
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.structure.composite import composite, front_depth
from reconx_ros.structure.conditioning import render_conditioning
from reconx_ros.structure.reference import Reference, batch

GREY = 0.5
"""Of what is to be generated; 0 once the pipeline has moved [0, 1] to [−1, 1]."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """A window of F frames on the CPU, at the size it is filmed.

    Attributes:
        image: [F, 3, H, W] in [0, 1]: real frames, else the render; 0 where nothing is known.
        known: [F, 1, H, W], 1 where ``image`` is to be kept, 0 where it is to be generated.
        seen: [F, 1, H, W], 1 where a view or the cloud shows the pixel's surface.
        depth: [F, 1, H, W] of the nearest surface that is shown, 0 where none is.
        real: the reference whose own camera a frame has, by the number of the frame.
    """

    image: Tensor
    known: Tensor
    seen: Tensor
    depth: Tensor
    real: Mapping[int, int]

    @property
    def latents(self) -> int:
        """Latent frames that stand for the window."""
        return (len(self.image) - 1) // TIME_STRIDE + 1

    @property
    def video(self) -> Tensor:
        """[1, F, 3, H, W] as the pipeline takes it: mid grey where nothing is known."""
        return torch.where(self.known > 0, self.image, GREY)[None]

    @property
    def mask(self) -> Tensor:
        """[1, F, 1, H, W] as the pipeline takes it: 0 keeps, 1 generates."""
        return (1 - self.known)[None]


def conditions(
    references: Sequence[Reference],
    cameras: Sequence[Camera],
    cloud: PointCloud,
    device: str = "cpu",
    given: Tensor | None = None,
) -> Conditions:
    """Render a window; colours at the exposure of the first reference.

    Args:
        references: R ≥ 1 views.
        cameras: F of one size, that of the film.
        cloud: shows what none of the references does.
        device: where to render.
        given: [3, H, W] the first frame, where it was filmed before; it counts where it is of this size and
            no real frame is to be had.
    """
    render = render_conditioning(references, cameras, cloud, overscan=0.0, guess=False, device=device)
    image, seen = composite(render)
    depth, _ = front_depth(render)
    image, seen, depth = (each[0].cpu() for each in (image, seen, depth))
    known = seen.clone()
    real = _real_frames(references, cameras)
    if real:
        colors = batch(references, render.size).color[:, None]
        if render.exposure is not None:
            gain, bias = (
                each[:, None, : len(references), :, None, None].cpu()
                for each in (render.exposure.gain, render.exposure.bias)
            )
            colors = (colors * gain + bias).clamp(0, 1)
    for frame, reference in real.items():
        image[frame], known[frame], seen[frame] = colors[0, 0, reference], 1.0, 1.0
    if given is not None and given.shape == image[0].shape and 0 not in real:
        image[0], known[0] = given, 1.0
    return Conditions(image.clamp(0, 1), known, seen, depth, real)


def _real_frames(references: Sequence[Reference], cameras: Sequence[Camera]) -> dict[int, int]:
    """Return which frames have exactly the camera of which reference."""
    found = {}
    for number, camera in enumerate(cameras):
        for index, reference in enumerate(references):
            if same_view(reference.camera, camera):
                found[number] = index
    return found
