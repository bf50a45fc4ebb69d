"""Installation by pip; a colcon workspace builds the package through CMakeLists.txt instead."""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def shared(folder: str, pattern: str) -> tuple[str, list[str]]:
    """Return the files of a folder that are installed beside the package, as ROS does."""
    files = (ROOT / folder).glob(pattern)
    return f"share/reconx_ros/{folder}", sorted(str(path.relative_to(ROOT)) for path in files)


setup(data_files=[shared("launch", "*.launch.py"), shared("config", "*.*")])
