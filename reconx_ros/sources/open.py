"""Open whatever holds frames: a bag, photos with their cameras, photos alone."""

from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.sources.bag import BagSource
from reconx_ros.sources.colmap import find_model, read_colmap
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.image_folder import ImageFolderSource, find_photos
from reconx_ros.sources.photos import PhotoSource
from reconx_ros.sources.protocol import Source
from reconx_ros.sources.recording import SCANS

SUPPORTED = (
    "a rosbag2 folder, .mcap, .db3, ROS 1 .bag, or a folder with transforms.json, a COLMAP model or photos"
)

UNREAD = {".heic", ".heif", ".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".jxl", ".gif"}
"""Endings of pictures, as phones and cameras write them, that need another program first."""


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
    if path.is_file() and path.name == "metadata.yaml":
        return BagSource(path.parent, config)
    if "metadata.yaml" in names or any(Path(name).suffix in SCANS for name in names):
        return BagSource(path, config)
    if "transforms.json" in names or (path.is_file() and path.suffix == ".json"):
        return PhotoSource(path)
    if path.is_dir() and find_model(path) is not None:
        return PhotoSource(path, read_colmap)
    if path.is_dir() and find_photos(path):
        return ImageFolderSource(path)
    raise SourceError(f"{path} is not a source of frames{_hint(names)}; give {SUPPORTED}")


def _hint(names: set[str]) -> str:
    """Return what was recognised without being readable."""
    if not names:
        return " (an empty folder)"
    if {"cameras.bin", "cameras.txt", "images.bin", "images.txt", "sparse"} & names:
        return " (a COLMAP model needs cameras and images, both .bin or both .txt)"
    endings = {Path(name).suffix.lower() for name in names}
    if endings & {".zstd", ".active"}:
        return f" (it holds {', '.join(sorted(names))[:80]})"
    if unread := endings & UNREAD:
        return f" (pictures as {', '.join(sorted(unread))} are not read: convert them to JPEG or PNG)"
    return ""
