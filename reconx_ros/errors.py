"""The errors a user can cause and can mend.

Every message is one line that names the bad value and says what would be right. The command line
prints it and exits with code 2; the node logs it and carries on with what it has. Anything else
that is raised is a defect of ours: a traceback, a log file and exit code 1.
"""


class ReconxError(Exception):
    """A known error: one line that names the bad value and what would be right.

    Values come from files and the network; what would break the line is shown as a space or ``?``.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in line))


class ConfigError(ReconxError):
    """A configuration value is of the wrong type, out of range or unknown."""


class SourceError(ReconxError):
    """The recording, folder or topic cannot be read as camera frames."""


class GeometryError(ReconxError):
    """No global point cloud can be made of these keyframes."""


class SynthesisError(ReconxError):
    """Views cannot be generated; the observed map stays usable."""


class SplattingError(ReconxError):
    """The Gaussians cannot be initialised, rendered or optimised with this input."""


class MapError(ReconxError):
    """A map cannot be saved to or loaded from this place."""


class MissingDependencyError(ReconxError):
    """Something the chosen option needs is not installed; the message says how to install it."""
