"""The work behind `reconx reconstruct`: open, choose frames, reconstruct, save."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reconx_ros.config import ReconxConfig
from reconx_ros.errors import ConfigError
from reconx_ros.geometry.choose import without_unused_depth
from reconx_ros.geometry.poses.checks import listed
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.keyframes.select import select_evenly, select_keyframes, select_views
from reconx_ros.keyframes.unposed import select_unposed
from reconx_ros.mapping.folder import check_writable, load, save
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Progress
from reconx_ros.sources.open import open_source
from reconx_ros.viewer.report import write_report


@dataclass(frozen=True)
class Request:
    """What to reconstruct, and where to."""

    source: Path
    output: Path
    config: ReconxConfig
    views: list[int] | None = None
    keyframes: int | None = None
    resume: bool = False


def run(request: Request, progress: Progress) -> Reconstruction:
    """Reconstruct and save; return what was saved.

    Raises:
        ReconxError: bad source, geometry, configuration or output folder; one line says why.
    """
    check_writable(request.output)
    start = load(request.output) if request.resume else None
    with open_source(request.source, request.config.source) as source:
        frames = without_unused_depth(request.config.geometry, source.frames())
        keyframes = choose_frames(frames, request, source.metric, source.posed)
        if start is not None and not source.posed:
            check_same_views(start.report, keyframes)
        # torch takes seconds to load: what is wrong with the source is said before.
        from reconx_ros.pipeline import reconstruct_keyframes  # noqa: PLC0415

        result = reconstruct_keyframes(keyframes, request.config, progress, source.metric, start)
        result.report["source"] = {"path": str(request.source), **asdict(source.report)}
        result.report["partial"] = source.report.partial
    save(result, request.output, request.config)
    write_report(result, request.output, request.config.drawing)
    return result


def check_same_views(report: Mapping[str, Any], keyframes: Sequence[Keyframe]) -> None:
    """Make sure that views without poses are those that a map was made of.

    Their cameras are found anew: the same views give the same world, others one of their own.

    Raises:
        ConfigError: they are not.
    """
    given = {keyframe.name for keyframe in keyframes}
    used = {*report.get("keyframes", ()), *report.get("left_out", ())}
    other = sorted(given ^ used)
    if other:
        raise ConfigError(
            "--resume: views without poses make a world of their own, and these are not the "
            f"{len(used)} of the map (differs: {listed(other, 4)}); give the same ones, or start a new map"
        )


def choose_frames(
    frames: Iterable[Keyframe], request: Request, metric: bool, posed: bool
) -> list[Keyframe]:
    """Return the keyframes that ``--views``, ``--keyframes`` or the selection rules ask for.

    Raises:
        ConfigError: a frame number beyond the recording, or more keyframes than frames.
    """
    config = request.config.keyframes
    if not posed:
        width = request.config.geometry.poses.image_width
        return select_unposed(frames, width, config.capacity, request.views, request.keyframes)
    if request.views is not None:
        return select_views(frames, request.views, config.image_width)
    if request.keyframes is not None:
        return select_evenly(frames, request.keyframes, config.image_width)
    return select_keyframes(frames, config, metric)
