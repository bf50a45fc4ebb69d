"""The views that a live map trains on, by name: those of keyframes, and frames that were filmed."""

from collections.abc import Collection, Mapping, Sequence

from reconx_ros.config import ReconxConfig
from reconx_ros.diffusion.protocol import GeneratedFrame
from reconx_ros.diffusion.seen import also_seen
from reconx_ros.splatting.device import drawing_device
from reconx_ros.splatting.optimise import GaussianOptimiser
from reconx_ros.splatting.training import TrainingSet
from reconx_ros.splatting.view import TrainingView
from reconx_ros.splatting.views import generated_views
from reconx_ros.structure.reference import Reference

IMAGINED = "imagined"
"""What generated frames are called among the views; no keyframe has this name, they are numbered."""


class LiveViews:
    """Views with names; they wait where there is no optimiser yet, and outlive one that is gone.

    Attributes:
        training: the views as they are trained on, ``None`` before the first.
    """

    def __init__(self, config: ReconxConfig) -> None:
        self._config = config
        self.training: TrainingSet | None = None
        self._names: list[str] = []
        self._filmed: tuple[GeneratedFrame, ...] = ()

    def add(self, name: str, views: Sequence[TrainingView]) -> None:
        """Train on ``views`` from now on; they count as ``name``.

        Raises:
            SplattingError: a view is not of its camera's size; none of ``views`` is added then.
        """
        if self.training is None:
            device = drawing_device(self._config.splatting.rasterizer, self._config.device)
            self.training = TrainingSet(self._config.splatting, device)
        before = len(self.training)
        self.training.add(views)
        self._names += [name] * (len(self.training) - before)

    def named(self, names: Collection[str]) -> list[int]:
        """Return the views of these names."""
        wanted = set(names)
        return [view for view, name in enumerate(self._names) if name in wanted]

    def of_group(self, groups: Mapping[str, int], group: int) -> list[int]:
        """Return the views of a submap, given the submap of each name."""
        return [view for view, name in enumerate(self._names) if groups.get(name) == group]

    def let_go(
        self, names: Collection[str], optimiser: GaussianOptimiser | None, back_later: bool = False
    ) -> None:
        """Train no longer on the views ``names``; unknown names are ignored.

        Args:
            names: of the views.
            optimiser: that trains on them, where there is one.
            back_later: whether they may be added again.
        """
        gone = set(self.named(names))
        if self.training is None or not gone:
            return
        staying = [view for view in range(len(self._names)) if view not in gone]
        if optimiser is None:
            self.training.keep(staying)
        else:
            optimiser.keep_views(staying, back_later)
        self._names = [self._names[view] for view in staying]

    def teach(self, frames: Sequence[GeneratedFrame]) -> None:
        """Train on generated frames from now on."""
        self._filmed = tuple(frames)
        self.add(IMAGINED, generated_views(frames, self._config.splatting))

    def forget_frames(self, optimiser: GaussianOptimiser | None) -> None:
        """Train no longer on generated frames."""
        self._filmed = ()
        self.let_go([IMAGINED], optimiser)

    def outdo(self, view: TrainingView, optimiser: GaussianOptimiser) -> None:
        """Let generated frames teach as if ``view``, a real one, had been there when they were filmed."""
        real = [Reference.of_depth(view.camera, view.depth)]
        frames = [also_seen(frame, real) for frame in self._filmed]
        if any((new.seen & ~old.seen).any() for new, old in zip(frames, self._filmed, strict=True)):
            self.forget_frames(optimiser)
            self.teach(frames)

    def witnesses(self) -> list[Reference]:
        """Return the real views trained on, with the depth they measured; their images are left out."""
        measured = [] if self.training is None else self.training.measured()
        return [Reference.of_depth(camera, depth) for camera, depth in measured]
