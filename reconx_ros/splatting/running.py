"""Steps of an optimisation, until they are done, time is over or somebody wants it to end."""

import time

from reconx_ros.progress import Progress
from reconx_ros.splatting.report import OptimisationReport, Stop
from reconx_ros.splatting.state import GaussianState
from reconx_ros.splatting.training import TrainingSet
from reconx_ros.splatting.training_step import TrainingStep

STAGE = "splatting"
TELL_EVERY = 10  # steps


def run(
    step: TrainingStep,
    state: GaussianState,
    views: TrainingSet,
    wanted: int | None,
    seconds: float | None,
    progress: Progress,
) -> OptimisationReport:
    """Take steps on the views in their order.

    Args:
        step: takes them.
        state: the map; it is within its limits afterwards.
        views: trained on.
        wanted: steps; as many as fit into ``seconds`` where ``None``.
        seconds: that they may take; ``None`` for any time.
        progress: told about every tenth; asked whether to stop.
    """
    began, done, stop = time.monotonic(), 0, None
    while stop is None:
        late = seconds is not None and time.monotonic() - began >= seconds
        stop = _stop(wanted is not None and done >= wanted, not len(views), progress, late)
        if stop is None:
            step.take(views.schedule.draw())
            done += 1
            if done % TELL_EVERY == 0 or done == wanted:
                note = "" if step.loss is None else f"loss {step.loss:.4f}"
                progress.update(STAGE, done, done if wanted is None else wanted, note)
    if done:
        state.constrain()
        state.blocks  # noqa: B018  made now: a keyframe that comes is not to wait for them
    return _report(step, state, views, done, time.monotonic() - began, stop)


def _stop(finished: bool, no_views: bool, progress: Progress, late: bool) -> Stop | None:
    """Return why to stop, the first reason that holds."""
    if finished:
        return "finished"
    if no_views:
        return "no views"
    if progress.cancelled():
        return "cancelled"
    return "deadline" if late else None


def _report(
    step: TrainingStep, state: GaussianState, views: TrainingSet, steps: int, seconds: float, stopped: Stop
) -> OptimisationReport:
    return OptimisationReport(
        steps=steps,
        total_steps=step.total,
        seconds=seconds,
        loss=step.loss,
        gaussians=state.living,
        views=len(views),
        ignored_views=views.ignored,
        skipped_steps=step.skipped,
        repaired_gradients=state.repaired,
        dropped_gaussians=state.dropped,
        stopped=stopped,
    )
