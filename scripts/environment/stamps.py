"""What is set up already: one small file a step, holding the digest of what the step was made from."""

import hashlib
from pathlib import Path


class Stamps:
    """Stamps in a folder; a step is done when its stamp holds the digest of its present inputs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def done(self, step: str, digest: str) -> bool:
        """Tell whether a step was finished with just these inputs."""
        return self.recorded(step) == digest

    def recorded(self, step: str) -> str | None:
        """Return what was recorded for a step; None when it is not finished."""
        stamp = self._folder / step
        return stamp.read_text(encoding="utf-8") if stamp.is_file() else None

    def record(self, step: str, digest: str) -> None:
        """Remember that a step is finished; written aside and renamed, so that it is whole or absent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f"{step}.new"
        aside.write_text(digest, encoding="utf-8")
        aside.replace(self._folder / step)

    def forget(self, step: str) -> None:
        """Mark a step as not done, before its outcome is touched."""
        (self._folder / step).unlink(missing_ok=True)


def digest_of(*files: Path, salt: str = "") -> str:
    """Return a SHA-256 digest over the names and contents of files, and a salt."""
    digest = hashlib.sha256(salt.encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
