"""What the processor is called."""

import platform
from pathlib import Path

import pytest

from reconx_ros.machine import processor_name


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("fpu avx avx2 avx512f avx512_bf16", "AMD EPYC, AVX-512"),
        ("fpu avx avx2 bmi2", "AMD EPYC, AVX2"),
        ("fpu sse2", "AMD EPYC"),
    ],
)
def test_a_name_comes_with_the_widest_vectors(tmp_path: Path, flags: str, name: str) -> None:
    one = f"processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: {flags}\npower management:\n\n"
    (tmp_path / "cpuinfo").write_text(2 * one)
    assert processor_name(tmp_path / "cpuinfo") == name


def test_where_linux_says_nothing_python_does(tmp_path: Path) -> None:
    assert processor_name(tmp_path / "none") == (platform.processor() or platform.machine())
