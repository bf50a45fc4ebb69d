"""Open whatever holds frames: a bag, or a folder of photos with their cameras."""

from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.sources.bag import BagSource
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.protocol import Source

BAG_SUFFIXES = (".mcap", ".db3", ".bag")
SUPPORTED = "a rosbag2 folder, .mcap, .db3, ROS 1 .bag, or a folder with transforms.json"


def open_source(path: Path, config: SourceConfig) -> Source:
    """Return the source for what lies at ``path``; entering it opens the files.

    Raises:
        SourceError: there is nothing, or nothing that can be read as frames.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist; give {SUPPORTED}")
    if path.is_file() and path.suffix in BAG_SUFFIXES:
        return BagSource(path, config)
    if path.is_dir() and _holds_bag(path):
        return BagSource(path, config)
    raise SourceError(f"{path} is not a source of frames; give {SUPPORTED}")


def _holds_bag(folder: Path) -> bool:
    return any(item.name == "metadata.yaml" or item.suffix in BAG_SUFFIXES for item in folder.iterdir())
