"""The worker's side of ``~/reconstruct``: long work that tells where it stands and can be cancelled."""

import time
from typing import Protocol

from reconx_ros.cli.reconstruction import Request, run
from reconx_ros.errors import ConfigError, MapError, ReconxError, SourceError
from reconx_ros.mapping.folder import check_writable, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.ros.link_commands import Reconstruct
from reconx_ros.ros.link_replies import Answer, Code

SLICE_S = 2.0
"""Seconds of refinement between two looks at how many steps are done."""


class Teller(Protocol):
    """The part of the worker that this needs."""

    @property
    def cancelled(self) -> set[int]:
        """Numbers of goals that are to end early."""

    @property
    def stopping(self) -> bool:
        """Whether something waits that ends or replaces everything."""

    def tell(self, stage: str, fraction: float, note: str = "") -> None:
        """Tell the node what is being done."""


class GoalProgress:
    """Progress of a goal: told twice a second, ended by a cancel or by what cannot wait."""

    def __init__(self, request: int, worker: Teller, begun: float = 0.0, share: float = 1.0) -> None:
        self._request, self._worker, self._told = request, worker, 0.0
        self._begun, self._share = begun, share

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report."""
        now = time.monotonic()
        if now - self._told > 0.5:
            self._told = now
            self._worker.tell(stage, self._begun + self._share * done / max(total, 1), note)

    def cancelled(self) -> bool:
        """Return whether to end with what there is."""
        return self._request in self._worker.cancelled or self._worker.stopping


def reconstruct(command: Reconstruct, mapper: IncrementalMapper, worker: Teller) -> Answer:
    """Reconstruct ``command.source``, or refine the map in memory, and save it.

    Cancelled, it saves what there is. The map in memory is not touched by a recording.
    """
    code: Code = "bad_goal"
    try:
        check_writable(command.folder)
        if command.source is None:
            result = _refine(command, mapper, worker)
        else:
            request = Request(command.source, command.folder, command.config)
            result = run(request, GoalProgress(command.request, worker))
    except (SourceError, ConfigError, MapError) as err:
        return Answer(command.request, code, str(err))
    except ReconxError as err:
        return Answer(command.request, "failed", str(err))
    except Exception as err:  # a defect must be answered too
        return Answer(command.request, "failed", f"{type(err).__name__}: {err}")
    code = "canceled" if GoalProgress(command.request, worker).cancelled() else "ok"
    worker.cancelled.discard(command.request)
    count, where = len(result.gaussians), str(command.folder.resolve())
    return Answer(command.request, code, f"{count} Gaussians saved to {where}", where, count)


def _refine(command: Reconstruct, mapper: IncrementalMapper, worker: Teller) -> Reconstruction:
    """Refine the map in memory for so many steps and save it.

    Raises:
        MapError: there is no map, or it cannot be saved.
    """
    done = 0
    while done < command.steps:
        report = mapper.refine(SLICE_S, _Slice(command, worker, done))
        if report is None or report.stopped in ("no views", "cancelled"):
            break
        done += report.steps
    snapshot = mapper.snapshot()
    if snapshot is None:
        raise MapError("there is no map yet: no keyframe has come; give a source")
    save(snapshot, command.folder, mapper.config)
    return snapshot


class _Slice(GoalProgress):
    """Progress of a slice of refinement, told as a share of all steps."""

    def __init__(self, command: Reconstruct, worker: Teller, before: int) -> None:
        super().__init__(command.request, worker)
        self._before, self._steps, self._done = before, command.steps, 0

    def update(self, stage: str, done: int, total: int, note: str = "") -> None:
        self._done = done
        super().update(stage, self._before + done, self._steps, note)

    def cancelled(self) -> bool:
        return self._before + self._done >= self._steps or super().cancelled()
