"""What machine this is, for reports, figures and bug reports; and whether its memory ran out."""

import platform
import resource
from pathlib import Path
from typing import Any

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "insufficient memory")
"""How CUDA, torch, the system and OpenCV say it."""

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
"""Names of vector units by the flag that Linux gives them, the widest first."""


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name and its widest vectors, or what Python knows of it.

    One name may stand for several generations: with AVX-512 one is twice as fast, and has bfloat16.
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in lines)
    found = {key.strip(): value.strip() for key, _, value in pairs}
    vectors = next((name for flag, name in VECTORS.items() if flag in found.get("flags", "").split()), "")
    name = found.get("model name") or platform.processor() or platform.machine()
    return f"{name}, {vectors}" if vectors else name


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
