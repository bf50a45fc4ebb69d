"""What machine this is, for reports, figures and bug reports; and whether its memory ran out."""

import platform
import resource
from pathlib import Path
from typing import Any

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "insufficient memory")
"""How CUDA, torch, the system and OpenCV say it."""


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
    told = any(words in text for words in OUT_OF_MEMORY)
    return isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError" or told


def peak_memory() -> int:
    """Return the bytes of resident memory this process held at most so far (Linux counts in kibibytes)."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_machine() -> dict[str, Any]:
    """Return what belongs beside a figure of time: the device, its threads, and the version of torch."""
    import torch  # noqa: PLC0415 - slow to import

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()
    return {
        "name": platform.node(),
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
