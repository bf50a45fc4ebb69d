"""What the set-up prints, and how it runs other programs."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class SetupError(Exception):
    """Set-up cannot go on; the message is one line that says why and what to do."""


def say(message: str) -> None:
    """Print one line of progress at once, so that it comes before what it announces."""
    print(f"-- {message}", flush=True)


def run(
    command: Sequence[str | Path],
    failure: str,
    variables: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> None:
    """Run a program.

    Args:
        command: Program and arguments.
        failure: What to say when it fails.
        variables: All its environment variables; None gives it `clean_environment()`.
        quiet: Show its output only when it fails.

    Raises:
        SetupError: It failed or could not be started.
    """
    words = [str(word) for word in command]
    variables = variables or clean_environment()
    pipe, merge = (subprocess.PIPE, subprocess.STDOUT) if quiet else (None, None)
    try:
        done = subprocess.run(words, env=variables, check=False, stdout=pipe, stderr=merge, text=True)
    except OSError as error:
        raise SetupError(f"{failure}: {error}") from error
    if done.returncode != 0:
        print(done.stdout or "", end="", flush=True)
        raise SetupError(f"{failure} (exit code {done.returncode}): {' '.join(words)}")


def clean_environment() -> dict[str, str]:
    """Return our variables without those that tie a child to another Python environment.

    The ROS wheels mark a process whose library path they have set; a Python of another environment that
    inherits the mark would load the wrong libraries.
    """
    variables = dict(os.environ)
    if variables.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None):
        variables.pop("LD_LIBRARY_PATH", None)
    for name in ("VIRTUAL_ENV", "PYTHONHOME"):
        variables.pop(name, None)
    return variables


def fail(error: SetupError) -> int:
    """Print an error as one line and return the exit code for it."""
    print(f"Error: {error}", file=sys.stderr, flush=True)
    return 2
