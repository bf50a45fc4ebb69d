"""Image files as arrays."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def read_image(file: Path, flags: int) -> NDArray[np.generic] | None:
    """Return a picture as ``cv2.imread`` does; ``None`` where it cannot be read, or is cut short.

    ``imread`` itself ends the process at a name that is not UTF-8, and fills up with grey a JPEG that ends
    early.

    Args:
        file: the picture, of any name.
        flags: ``cv2.IMREAD_*``.
    """
    try:
        stored = np.fromfile(file, np.uint8)
        picture = cv2.imdecode(stored, flags) if stored.size else None
    except (OSError, cv2.error):
        return None
    return None if picture is None else np.asarray(picture)
