"""What NumPy and zipfile raise where an ``.npz`` file is damaged, found by spoiling bytes."""

import struct
import zipfile
import zlib

DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,  # with NotImplementedError: a flag or method of zip that is not known
    MemoryError,
    SyntaxError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""Exceptions that mean: this file is gone or damaged."""
