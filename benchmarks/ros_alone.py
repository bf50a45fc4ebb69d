"""ROS for a benchmark and the processes it starts: away from any other, with the package's own profiles."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def keep_alone() -> None:
    """Set what this process and those it starts find in the environment."""
    os.environ.update(
        ROS_DOMAIN_ID=str(1 + os.getpid() % 90),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        FASTRTPS_DEFAULT_PROFILES_FILE=str(ROOT / "config" / "fastdds.xml"),
        PYTHONPATH=str(ROOT),
    )
