"""What this process holds, for diagnostics."""

import ctypes
import os
import sys
from pathlib import Path


def memory_bytes() -> int:
    """Return the resident memory of this process in bytes, 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def gpu_bytes() -> int:
    """Return the GPU memory that torch holds in this process, 0 without torch or CUDA."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    return int(torch.cuda.memory_reserved())


def give_back() -> None:
    """Return to the system what this process has freed.

    glibc keeps it, in pieces between what is still used: as submaps come and go, hundreds of MB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # another libc has none
    if trim is not None:
        trim(0)
