"""The Python environment that is being set up."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from console import SetupError, clean_environment, run, say
from ros import Ros
from stamps import Stamps


@dataclass(frozen=True)
class VenvPython:
    """A virtual environment in the folder `prefix`."""

    prefix: Path

    @property
    def executable(self) -> Path:
        """Its Python interpreter."""
        return self.prefix / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are.

        Raises:
            SetupError: There is no environment in the folder.
        """
        found = next(self.prefix.glob("lib/python3.*/site-packages"), None)
        if found is None:
            raise SetupError(f"{self.prefix} is no Python environment: remove it to have it made anew")
        return found

    def evaluate(self, expression: str) -> str:
        """Return what an expression prints in this environment.

        Raises:
            SetupError: The interpreter is missing or the expression fails.
        """
        command = [str(self.executable), "-c", f"print({expression})"]
        try:
            done = subprocess.run(
                command, env=clean_environment(), capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(f"{self.executable} cannot evaluate {expression!r}: {error}") from error
        return done.stdout.strip()


def prepare_venv(venv: VenvPython, stamps: Stamps, ros: Ros) -> None:
    """Create the environment unless it is there, for one ROS and one Python for good.

    Raises:
        SetupError: The environment there was made for another ROS or another Python.
    """
    made_for = stamps.recorded("venv")
    if made_for is None:
        _create(venv)
        if ros.sourced:
            _extend_activation(venv)
        stamps.record("venv", ros.name)
    elif made_for != ros.name:
        raise SetupError(f"{venv.prefix} uses ROS from '{made_for}', now it is '{ros.name}': {_WAYS_OUT}")
    elif "PYTHON" in os.environ and venv.site_packages.parent.name != f"python{_version()}":
        raise SetupError(f"{venv.prefix} is not of Python {_version()}: remove it to have it made anew")


_WAYS_OUT = "source the ROS it was made with, or remove it to have it made anew"


def _create(venv: VenvPython) -> None:
    try:
        venv.evaluate("__import__('pip').__version__")
    except SetupError:
        say(f"creating {venv.prefix} with Python {_version()} ({sys.executable})")
        run([sys.executable, "-m", "venv", "--clear", venv.prefix], f"could not create {venv.prefix}")


def _extend_activation(venv: VenvPython) -> None:
    """Let an activated environment find the interfaces installed in it, beside those of the sourced ROS."""
    with (venv.prefix / "bin/activate").open("a", encoding="utf-8") as script:
        script.write(
            "\n# Interfaces of this environment, for the sourced ROS 2\n"
            'export AMENT_PREFIX_PATH="$VIRTUAL_ENV${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"\n'
            'export LD_LIBRARY_PATH="$VIRTUAL_ENV/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n'
        )


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
