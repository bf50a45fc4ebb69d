"""Paths as users give them to parameters, services and goals."""

from pathlib import Path

from reconx_ros.errors import ConfigError


def meant(path: str) -> Path:
    """Return the absolute path that is meant; ``~`` is the home folder of who runs the node.

    Raises:
        ConfigError: it begins with ``~NAME``, and there is no such user.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as err:
        raise ConfigError(f"path '{path}': there is no user of that name") from err
