"""Half precision is left to processors that have it."""

import os
import subprocess
import sys

from reconx_ros.diffusion.small.half import half_pays

ASKED = "from reconx_ros.diffusion.small.half import half_pays; print(half_pays('cpu'))"


def test_bfloat16_is_not_for_cpus_without_avx512() -> None:
    """Torch itself can be told to be such a CPU."""
    poor = {**os.environ, "ATEN_CPU_CAPABILITY": "avx2"}
    said = subprocess.run(
        [sys.executable, "-c", ASKED], env=poor, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"
    assert half_pays("cuda:0")
