"""Find the files of a recording and the reader that can read them."""

from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.sources.recording import IndexedRecording, Recording


def open_recording(path: Path) -> Recording:
    """Open a rosbag2 folder, .mcap, .db3 or ROS 1 .bag."""
    try:
        return IndexedRecording(path)
    except Exception as err:
        raise SourceError(f"{path} cannot be read: {err}") from err
