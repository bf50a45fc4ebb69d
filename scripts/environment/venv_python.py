"""The Python environment that is being set up."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from console import SetupError, clean_environment


@dataclass(frozen=True)
class VenvPython:
    """A virtual environment in the folder `prefix`."""

    prefix: Path

    @property
    def executable(self) -> Path:
        """Its Python interpreter."""
        return self.prefix / "bin" / "python"

    def evaluate(self, expression: str) -> str:
        """Return what an expression prints in this environment.

        Raises:
            SetupError: The interpreter is missing or the expression fails.
        """
        command = [str(self.executable), "-c", f"print({expression})"]
        try:
            done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(f"{self.executable} cannot evaluate {expression!r}: {error}") from error
        return done.stdout.strip()
