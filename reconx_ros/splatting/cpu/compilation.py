"""How kernels are compiled and where the machine code is kept.

numba keeps compiled kernels and compiles again when the file of a kernel changes, but not when a file
changes whose functions or constants went into it. Kernels of this package take both from several files,
so their code is kept in a folder named after the contents of all of them.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

HERE = Path(__file__).parent

INLINED = {"error_model": "numpy", "nogil": True}
"""Options of functions that kernels call. No fast-math: forward and backward must decide alike."""


def _sources() -> str:
    """Return a name for the contents of all files that kernels are made of."""
    digest = hashlib.sha256()
    for path in [*sorted(HERE.glob("*.py")), HERE.parent / "model.py"]:
        digest.update(path.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path | None:
    """Return where to keep machine code: NUMBA_CACHE_DIR, else beside the sources, else in ~/.cache."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reconx_ros"
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [HERE / "__pycache__", user]
    folders = [base / _sources() for base in bases]
    return next((folder for folder in folders if _writable(folder)), None)


_FOLDER = _cache_folder()


def kernel_folder() -> Path | None:
    """Return where machine code is kept, ``None`` where there is no place for it."""
    return _FOLDER


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator like ``njit`` that keeps the machine code where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Any:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(_FOLDER or "")
        try:
            return njit(**{**INLINED, "cache": _FOLDER is not None, **options})(function)
        finally:
            config.CACHE_DIR = before

    return decorate
