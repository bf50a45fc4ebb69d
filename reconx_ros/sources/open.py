"""Open whatever holds frames: a bag, or a folder of photos with their cameras."""

from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.sources.bag import BagSource
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.photos import PhotoSource
from reconx_ros.sources.protocol import Source
from reconx_ros.sources.recording import SCANS

SUPPORTED = "a rosbag2 folder, .mcap, .db3, ROS 1 .bag, or a folder with transforms.json"


def open_source(path: Path, config: SourceConfig) -> Source:
    """Return the source for what lies at ``path``; entering it opens the files.

    Raises:
        SourceError: there is nothing, or nothing that can be read as frames.
    """
    try:
        if not path.exists():
            raise SourceError(f"{path} does not exist; give {SUPPORTED}")
        names = {item.name for item in path.iterdir()} if path.is_dir() else {path.name}
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    if "metadata.yaml" in names or any(Path(name).suffix in SCANS for name in names):
        return BagSource(path, config)
    if "transforms.json" in names or (path.is_file() and path.suffix == ".json"):
        return PhotoSource(path)
    raise SourceError(f"{path} is not a source of frames{_hint(names)}; give {SUPPORTED}")


def _hint(names: set[str]) -> str:
    """Return what was recognised without being readable."""
    if not names:
        return " (an empty folder)"
    if {"cameras.bin", "cameras.txt", "sparse"} & names:
        return " (COLMAP folders are not read yet)"
    endings = {Path(name).suffix.lower() for name in names}
    if endings & {".jpg", ".jpeg", ".png"}:
        return " (photos without transforms.json are not read yet)"
    if endings & {".zstd", ".active"}:
        return f" (it holds {', '.join(sorted(names))[:80]})"
    return ""
