"""Where a worker's submaps rest: a folder of its own in that of the run.

The worker of a node that was killed still saves its map when the next has begun; neither takes the other's
files for its own.
"""

import contextlib
import os
import shutil
from pathlib import Path

from reconx_ros.errors import MapError
from reconx_ros.mapping.folder import check_writable


def own_scratch(shared: Path | None) -> Path | None:
    """Return the folder of this process in ``shared``, and remove those of processes that have ended.

    ``None`` (a temporary one) where none is wanted, or nothing can be written.
    """
    if shared is None:
        return None
    try:
        check_writable(shared)
    except MapError:
        return None
    for left in shared.iterdir():
        if not _runs(left.name):
            shutil.rmtree(left, ignore_errors=True)
    return shared / str(os.getpid())


def leave(shared: Path | None) -> None:
    """Remove the folder that own ones are in, unless another process has one there."""
    if shared is not None:
        with contextlib.suppress(OSError):
            shared.rmdir()


def _runs(name: str) -> bool:
    """Return whether a process of that number runs."""
    try:
        os.kill(int(name), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True
