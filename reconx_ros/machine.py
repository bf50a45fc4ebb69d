"""What machine this is: for reports, figures and bug reports."""

import platform
from pathlib import Path


def processor_name() -> str:
    """Return the processor's model name, or what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
