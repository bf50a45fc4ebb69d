"""The focal length that a photo's EXIF data state."""

import warnings
from pathlib import Path

import numpy as np

FULL_FRAME_DIAGONAL = 43.267
"""Millimetres; the 35 mm equivalent focal length is that of a frame of 36 x 24 mm (CIPA DCG-001)."""

EXIF = 0x8769
FOCAL_LENGTH, FOCAL_LENGTH_35MM = 0x920A, 0xA405
PLANE_X_RESOLUTION, PLANE_UNIT, PIXEL_WIDTH, PIXEL_HEIGHT = 0xA20E, 0xA210, 0xA002, 0xA003
MILLIMETRES = {2: 25.4, 3: 10.0, 4: 1.0}
"""Length of FocalPlaneResolutionUnit: inch, centimetre, millimetre."""

PLAUSIBLE = (0.3, 20.0)
"""Focal length per longer side; anything else is a wrong entry."""


def focal_in_pixels(file: Path, width: int, height: int) -> float | None:
    """Return the focal length of a photo of ``width`` x ``height`` pixels; ``None`` where unknown."""
    tags = _tags(file)
    longer = max(width, height)
    for focal in (_from_equivalent(tags, width, height), _from_sensor(tags, longer)):
        if focal is not None and PLAUSIBLE[0] <= focal / longer <= PLAUSIBLE[1]:
            return focal
    return None


def _tags(file: Path) -> dict[int, float]:
    """Return the numeric EXIF entries; none of a file without, or with damaged ones."""
    from PIL import Image  # noqa: PLC0415 - loads with the source in use

    try:
        with warnings.catch_warnings(), Image.open(file) as photo:
            warnings.simplefilter("ignore")  # about corrupt EXIF data, which then simply say nothing
            entries = dict(photo.getexif().get_ifd(EXIF))
    except Exception:
        return {}
    numbers = {}
    for key, value in entries.items():
        try:
            number = float(value)
        except (TypeError, ValueError, ZeroDivisionError):
            continue
        if np.isfinite(number) and number > 0:
            numbers[int(key)] = number
    return numbers


def _from_equivalent(tags: dict[int, float], width: int, height: int) -> float | None:
    focal = tags.get(FOCAL_LENGTH_35MM)
    return None if focal is None else focal / FULL_FRAME_DIAGONAL * float(np.hypot(width, height))


def _from_sensor(tags: dict[int, float], longer: int) -> float | None:
    """Return the focal length from that in mm and the pixels of the sensor to a unit of length."""
    focal, resolution = tags.get(FOCAL_LENGTH), tags.get(PLANE_X_RESOLUTION)
    unit = MILLIMETRES.get(int(tags.get(PLANE_UNIT, 2)))
    if focal is None or resolution is None or unit is None:
        return None
    pixels = focal * resolution / unit
    return pixels * longer / max(tags.get(PIXEL_WIDTH, longer), tags.get(PIXEL_HEIGHT, 0.0))
