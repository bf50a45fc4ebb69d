"""Installation by pip; a colcon workspace builds the package through CMakeLists.txt instead."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
SHARED = {"launch": "*.launch.py", "config": "*"}

setup(
    data_files=[
        (
            f"share/reconx_ros/{folder}",
            sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern)),
        )
        for folder, pattern in SHARED.items()
    ],
)
