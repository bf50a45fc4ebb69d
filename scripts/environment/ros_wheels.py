"""The one defect of the ROS wheels, and its repair."""

import re
from pathlib import Path

from console import say
from stamps import Stamps, digest_of
from venv_python import VenvPython

BAKED_PYTHON = re.compile(r"/opt/python/[^\";]*/include/python3\.\d+")
BAKED_NUMPY = re.compile(r"/opt/python/[^\";]*/numpy/[^\";]*include")


def patch_ros_wheels(venv: VenvPython, stamps: Stamps, requirements: Path) -> None:
    """Point the wheels' CMake files at this environment's Python and NumPy headers.

    They name the folders of the machine that the wheels were built on (/opt/python/cp3XX-cp3XX/...).
    """
    digest = digest_of(requirements)
    if stamps.done("ros-wheels", digest):
        return
    say("pointing the ROS wheels at this Python")
    headers = venv.evaluate("__import__('sysconfig').get_path('include')")
    numpy_headers = venv.evaluate("__import__('numpy').get_include()")
    for export in (venv.prefix / "share").glob("*/cmake/*__rosidl_generator_pyExport.cmake"):
        text = export.read_text(encoding="utf-8")
        export.write_text(with_headers(text, headers, numpy_headers), encoding="utf-8")
    stamps.record("ros-wheels", digest)


def with_headers(cmake: str, headers: str, numpy_headers: str) -> str:
    """Return CMake code with the baked-in header folders replaced by those of this machine."""
    return BAKED_NUMPY.sub(lambda _: numpy_headers, BAKED_PYTHON.sub(lambda _: headers, cmake))
