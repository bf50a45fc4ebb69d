"""Reading a source so that held-out frames and inputs never meet."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconx_ros.errors import ConfigError, SourceError
from reconx_ros.evaluation.hold_out import HoldOut, choose_inputs
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.reduce import reduce
from reconx_ros.progress import Progress
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source


@dataclass(frozen=True, eq=False)
class Split:
    """The two sides, at full size.

    Attributes:
        inputs: the only frames that any stage of the reconstruction gets.
        held_out: the frames measured on.
        metric: whether the source's poses are in metres.
        partial: whether the source is damaged and only its beginning was used.
        warnings: what the user should know about the frames.
    """

    inputs: list[Keyframe]
    held_out: list[Keyframe]
    metric: bool
    partial: bool = False
    warnings: list[str] = field(default_factory=list)

    def reduced(self, image_width: int) -> "Split":
        """Return the same split with all frames reduced to ``image_width`` pixels (never enlarged)."""
        inputs = [reduce(view, image_width) for view in self.inputs]
        held_out = [reduce(view, image_width) for view in self.held_out]
        return replace(self, inputs=inputs, held_out=held_out)


def read_split(
    path: Path, config: SourceConfig, rule: HoldOut, number: int | None, progress: Progress
) -> Split:
    """Read ``path`` twice: to learn its frames, then to keep those that are needed.

    Memory holds the inputs and the held-out frames only. Frames without a pose stay out of both.

    Raises:
        SourceError: no frame, or no frame with a pose.
        ConfigError: the split asks for frames that are not there.
    """
    posed, names = _survey(path, config)
    if not any(posed):
        raise SourceError(f"none of the {len(posed)} frames of {path} has a pose; evaluation needs poses")
    held, warnings = _usable(rule, posed, names)
    kept_out = set(rule.indices(len(posed)))
    candidates = [i for i, known in enumerate(posed) if known and i not in kept_out]
    inputs = choose_inputs(candidates, number)
    kept: dict[int, Keyframe] = {}
    wanted = {*inputs, *held}
    with open_source(path, config) as source:
        for index, frame in enumerate(source.frames()):
            if index in wanted:
                kept[index] = frame
            progress.update("read", index + 1, len(posed))
        report, metric = source.report, source.metric
    return Split(
        inputs=[kept[i] for i in inputs],
        held_out=[kept[i] for i in held],
        metric=metric,
        partial=report.partial,
        warnings=[*report.warnings, *warnings],
    )


def _survey(path: Path, config: SourceConfig) -> tuple[list[bool], list[str]]:
    """Return for each frame whether it has a pose, and its name."""
    posed, names = [], []
    with open_source(path, config) as source:
        for frame in source.frames():
            posed.append(frame.posed)
            names.append(frame.name)
    return posed, names


def _usable(rule: HoldOut, posed: list[bool], names: list[str]) -> tuple[list[int], list[str]]:
    """Return the held-out frames that have a pose, and a warning about the others."""
    chosen = rule.indices(len(posed))
    held = [i for i in chosen if posed[i]]
    lost = [names[i] for i in chosen if not posed[i]]
    if not held:
        raise ConfigError(
            f"none of the {len(chosen)} held-out frames has a pose (first: {names[chosen[0]]})"
        )
    repeated = [name for name, times in Counter(names[i] for i in held).items() if times > 1]
    if repeated:
        raise SourceError(f"two held-out frames are named {repeated[0]}; names must be unique")
    return held, [f"held-out frame {name} has no pose and is left out" for name in lost]
