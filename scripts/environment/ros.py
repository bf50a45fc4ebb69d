"""Where ROS 2 comes from: the system when one is sourced, Python wheels otherwise; never both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ros:
    """The ROS 2 that the environment is set up for.

    Attributes:
        name: 'wheels', or the distribution that is sourced, e.g. 'jazzy'.
        prefixes: Install prefixes that are sourced; none for the wheels.
    """

    name: str
    prefixes: tuple[Path, ...] = ()

    @property
    def sourced(self) -> bool:
        """Whether it is the system's."""
        return bool(self.prefixes)

    @property
    def requirements(self) -> Path:
        """The requirements file that goes with it, relative to the repository."""
        return Path("requirements") / ("ros-system.txt" if self.sourced else "ros-wheels.txt")

    def has_package(self, package: str) -> bool:
        """Tell whether a ROS package is installed in one of the sourced prefixes."""
        marker = Path("share/ament_index/resource_index/packages", package)
        return any((prefix / marker).is_file() for prefix in self.prefixes)


def find_ros(variables: Mapping[str, str], own_prefix: Path) -> Ros:
    """Return the ROS 2 to use.

    Args:
        variables: Environment variables. Only AMENT_PREFIX_PATH tells that ROS is sourced: container
            images set ROS_DISTRO for every process.
        own_prefix: The environment that is set up; it is no ROS of the system.
    """
    entries = filter(None, variables.get("AMENT_PREFIX_PATH", "").split(":"))
    prefixes = tuple(path for path in map(Path, entries) if path != own_prefix)
    return Ros(variables.get("ROS_DISTRO", "system"), prefixes) if prefixes else Ros("wheels")
