"""What machine this is, for reports, figures and bug reports; and whether its memory ran out."""

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


def ran_out_of_memory(err: BaseException) -> bool:
    """Tell whether ``err`` means that memory, of a GPU or not, did not suffice."""
    text = str(err).lower()
    told = "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    return isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError" or told
