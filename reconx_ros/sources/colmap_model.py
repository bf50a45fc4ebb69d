"""COLMAP's sparse models, text and binary: cameras and images (their points are not needed here).

The layout is that of COLMAP's documentation ("Output format"). Reading checks every length against what
is left of the file, so that a damaged file is an error and never a huge allocation.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconx_ros.errors import SourceError
from reconx_ros.sources.fields import shown

PARAMETERS = {
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 5,
    "OPENCV": 8,
    "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12,
    "FOV": 5,
    "SIMPLE_RADIAL_FISHEYE": 4,
    "RADIAL_FISHEYE": 5,
    "THIN_PRISM_FISHEYE": 12,
}
"""Camera models in the order of their numbers in binary files, and how many parameters each has."""

POINT2D = 24
"""Bytes of an observation in images.bin: x, y, point id."""


@dataclass(frozen=True)
class ModelCamera:
    """A camera as COLMAP stores it: model name, pixels, parameters in its order."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True)
class ModelImage:
    """An image as COLMAP stores it; the pose is camera from world."""

    name: str
    camera_id: int
    quaternion_wxyz: tuple[float, ...]
    translation: tuple[float, ...]


def read_cameras(file: Path) -> dict[int, ModelCamera]:
    """Read ``cameras.bin`` or ``cameras.txt``: cameras by id.

    Raises:
        SourceError: the file cannot be read or is damaged.
    """
    return dict(_binary_cameras(_Bytes(file)) if file.suffix == ".bin" else _text_cameras(file))


def read_images(file: Path) -> list[ModelImage]:
    """Read ``images.bin`` or ``images.txt``.

    Raises:
        SourceError: the file cannot be read or is damaged.
    """
    return list(_binary_images(_Bytes(file)) if file.suffix == ".bin" else _text_images(file))


class _Bytes:
    """A binary file, taken piece by piece."""

    def __init__(self, file: Path) -> None:
        self.file, self._at = file, 0
        try:
            self._content = file.read_bytes()
        except OSError as err:
            raise SourceError(f"{file} cannot be read: {err.strerror or err}") from err

    def take(self, layout: str) -> tuple[float, ...]:
        """Return the next values (little endian)."""
        size = struct.calcsize("<" + layout)
        self._need(size)
        values = struct.unpack_from("<" + layout, self._content, self._at)
        self._at += size
        return values

    def text(self) -> str:
        """Return the next text that a zero byte ends."""
        end = self._content.find(b"\0", self._at)
        if end < 0:
            self._need(len(self._content))
        text = self._content[self._at : end].decode("utf-8", "replace")
        self._at = end + 1
        return text

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        self._need(size)
        self._at += size

    def count(self, least_size: int) -> int:
        """Return how many entries of ``least_size`` bytes or more follow."""
        (number,) = self.take("Q")
        self._need(int(number) * least_size)
        return int(number)

    def _need(self, size: int) -> None:
        left = len(self._content) - self._at
        if size > left:
            raise SourceError(
                f"{self.file} is damaged or cut: {size} bytes wanted at {self._at}, {left} there"
            )


def _binary_cameras(content: _Bytes) -> Iterator[tuple[int, ModelCamera]]:
    models = list(PARAMETERS)
    for _ in range(content.count(24)):
        camera, number, width, height = (int(value) for value in content.take("iiQQ"))
        if not 0 <= number < len(models):
            raise SourceError(
                f"{content.file}: camera {camera} has unknown model {number}, not 0 to {len(models) - 1}"
            )
        params = content.take(f"{PARAMETERS[models[number]]}d")
        yield camera, ModelCamera(models[number], width, height, params)


def _binary_images(content: _Bytes) -> Iterator[ModelImage]:
    for _ in range(content.count(73)):
        values = content.take("i7di")
        name = content.text()
        content.skip(content.count(POINT2D) * POINT2D)
        yield ModelImage(name, int(values[8]), values[1:5], values[5:8])


def _text_cameras(file: Path) -> Iterator[tuple[int, ModelCamera]]:
    for number, line in _lines(file):
        words = line.split()
        if len(words) < 4 or words[1] not in PARAMETERS:
            known = ", ".join(PARAMETERS)
            raise SourceError(f"{file}, line {number}: {shown(line)} is no camera; models: {known}")
        if len(words) != 4 + PARAMETERS[words[1]]:
            wanted = PARAMETERS[words[1]]
            raise SourceError(
                f"{file}, line {number}: {words[1]} has {wanted} parameters, not {len(words) - 4}"
            )
        whole = _numbers(words[:1] + words[2:4], file, number, int)
        params = tuple(_numbers(words[4:], file, number, float))
        yield int(whole[0]), ModelCamera(words[1], int(whole[1]), int(whole[2]), params)


def _text_images(file: Path) -> Iterator[ModelImage]:
    """Yield the images; every other line holds the observations, and may be empty."""
    lines = iter(_lines(file, keep_empty=True))
    for number, line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        if len(words) != 10:
            raise SourceError(
                f"{file}, line {number}: {shown(line)} is no image (id, 7 of pose, camera, name)"
            )
        values = tuple(_numbers(words[1:8], file, number, float))
        camera = int(_numbers(words[8:9], file, number, int)[0])
        yield ModelImage(words[9].strip(), camera, values[:4], values[4:])
        next(lines, None)


def _lines(file: Path, keep_empty: bool = False) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as err:
        raise SourceError(f"{file} cannot be read: {err.strerror or err}") from err
    except UnicodeDecodeError as err:
        raise SourceError(f"{file} is not text: {err}") from err
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#") and (keep_empty or line.strip()):
            yield number, line


def _numbers(words: list[str], file: Path, line: int, kind: type[int] | type[float]) -> list[float]:
    try:
        return [kind(word) for word in words]
    except ValueError as err:
        raise SourceError(f"{file}, line {line}: {err}") from err
