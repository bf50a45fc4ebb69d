"""The small model as a diffusers pipeline."""

from typing import Any, ClassVar

from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler

from reconx_ros.diffusion.small.film import Film, FilmOutput
from reconx_ros.diffusion.small.model import SmallModel
from reconx_ros.diffusion.small.points import PointEncoder


class ReconxPipeline(DiffusionPipeline):  # type: ignore[misc]
    """Films what references and a cloud show of given cameras, and what they do not show.

    ``ReconxPipeline.from_pretrained(folder)`` loads what ``save_pretrained(folder)`` wrote.
    """

    _optional_components: ClassVar[list[str]] = ["structure_encoder"]

    def __init__(
        self,
        model: SmallModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        structure_encoder: PointEncoder | None = None,
    ) -> None:
        """Put the parts together; without ``structure_encoder`` the structure branch is left out."""
        super().__init__()
        self.register_modules(model=model, scheduler=scheduler, structure_encoder=structure_encoder)

    def __call__(self, *args: Any, **options: Any) -> FilmOutput | None:  # noqa: ANN401  (those of Film)
        """Film: arguments, stages and errors are those of ``film.Film.__call__``."""
        return Film(self.model, self.structure_encoder, lambda: self.scheduler)(*args, **options)
