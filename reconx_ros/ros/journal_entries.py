"""The lines of a journal: what each kind holds, checked when it is read."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from reconx_ros.errors import SourceError

Array = NDArray[np.float64]


class DamagedLineError(SourceError):
    """A line of a journal cannot be used."""


def _array_of(*shape: int | None) -> Callable[[Any], Array]:
    """Return what makes an array of a shape, ``None`` for any length, and of finite numbers."""

    def read(value: Any) -> Array:  # noqa: ANN401
        found = np.array(value, np.float64)
        if found.size == 0 and shape[0] is None:
            found = found.reshape([size or 0 for size in shape])
        fits = found.ndim == len(shape) and all(
            want in (None, got) for want, got in zip(shape, found.shape, strict=True)
        )
        if not (fits and np.isfinite(found).all()):
            raise ValueError(f"an array of {shape} finite numbers is needed")
        return found

    return read


_AS_LIST = PlainSerializer(lambda array: array.tolist())

Pose = Annotated[Array, PlainValidator(_array_of(4, 4)), _AS_LIST]
Poses = Annotated[Array, PlainValidator(_array_of(None, 4, 4)), _AS_LIST]
Corner = Annotated[Array, PlainValidator(_array_of(3)), _AS_LIST]
Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyframeLine(_Line):
    """A keyframe, whose pictures are in a file of its own.

    Attributes:
        name: of the keyframe, and of its file.
        stamp_ns: its capture time.
        pose: [4, 4] world_from_camera where it is known to be elsewhere than its file says.
        odom_from_camera: [4, 4], ``None`` where odometry was not on the way to the world.
        base_from_camera: [4, 4], ``None`` where the base frame was not known.
    """

    kind: Literal["keyframe"] = "keyframe"
    name: Name
    stamp_ns: int = 0
    pose: Pose | None = None
    odom_from_camera: Pose | None = None
    base_from_camera: Pose | None = None


class CorrectLine(_Line):
    """Where keyframes are: names and poses [N, 4, 4] world_from_camera."""

    kind: Literal["correct"] = "correct"
    names: tuple[str, ...]
    poses: Poses

    @model_validator(mode="after")
    def _one_each(self) -> "CorrectLine":
        if len(self.names) != len(self.poses):
            raise ValueError(f"{len(self.names)} names have {len(self.poses)} poses")
        return self

    @property
    def moved(self) -> dict[str, Array]:
        """The poses by name."""
        return dict(zip(self.names, self.poses, strict=True))

    @classmethod
    def of(cls, poses: Mapping[str, Array]) -> "CorrectLine":
        """Return the line for poses by name."""
        stack = np.array(list(poses.values()), np.float64).reshape(-1, 4, 4)
        return cls(names=tuple(poses), poses=stack)


class ClearBoxLine(_Line):
    """A box that was cleared, as in ``link_commands.ClearBox``."""

    kind: Literal["clear_box"] = "clear_box"
    low: Corner
    high: Corner
    world_from_box: Pose


class LoadLine(_Line):
    """A saved map that the rest comes on top of."""

    kind: Literal["load"] = "load"
    folder: str


class DiedLine(_Line):
    """A worker died while it added a keyframe."""

    kind: Literal["died"] = "died"
    name: Name


class LoadingLine(_Line):
    """Where a ``Load`` stands that is not answered yet; never on disk.

    Attributes:
        request: its number.
        held: names of the keyframes that were in memory only.
    """

    kind: Literal["loading"] = "loading"
    request: int
    held: frozenset[str]


Lasting = KeyframeLine | CorrectLine | ClearBoxLine | LoadLine | DiedLine
Entry = KeyframeLine | CorrectLine | ClearBoxLine | LoadingLine

_LINES: TypeAdapter[Lasting] = TypeAdapter(Annotated[Lasting, Field(discriminator="kind")])


def read_line(line: bytes) -> Lasting:
    """Return a line of the file.

    Raises:
        DamagedLineError: it is cut, of an unknown kind, or lacks something.
    """
    try:
        return _LINES.validate_json(line)
    except ValidationError as err:
        raise DamagedLineError(f"a line of the journal cannot be used: {err}") from err


def write_line(entry: Lasting) -> str:
    """Return a line for the file, with its end."""
    return entry.model_dump_json(exclude_none=True) + "\n"


def corrected(entries: list[Entry], poses: Mapping[str, Array]) -> list[Entry]:
    """Return the entries with keyframes at new poses; of each only the newest that matters is kept.

    What a box removed depends on where keyframes were at that time. So a keyframe from before the last
    box keeps the pose that it had there, and its newest stands right after the box; any other is at its
    newest pose at once.
    """
    start = 1 + max((i for i, e in enumerate(entries) if isinstance(e, ClearBoxLine)), default=-1)
    before, after = entries[:start], [_moved(entry, poses) for entry in entries[start:]]
    earlier = {entry.name for entry in before if isinstance(entry, KeyframeLine)}
    moved = {name: pose for name, pose in poses.items() if name in earlier}
    if not moved:
        return [*before, *after]
    first = after[0] if after else None
    if isinstance(first, CorrectLine):
        moved, after = first.moved | moved, after[1:]
    return [*before, CorrectLine.of(moved), *after]


def _moved(entry: Entry, poses: Mapping[str, Array]) -> Entry:
    if isinstance(entry, KeyframeLine) and entry.name in poses:
        return entry.model_copy(update={"pose": poses[entry.name]})
    return entry


def without(entry: Entry, gone: Collection[str]) -> Entry | None:
    """Return an entry without keyframes that are ``gone``, ``None`` where nothing is left of it."""
    if isinstance(entry, KeyframeLine):
        return None if entry.name in gone else entry
    if not isinstance(entry, CorrectLine):
        return entry
    kept = {name: pose for name, pose in entry.moved.items() if name not in gone}
    return CorrectLine.of(kept) if kept else None


def newest_poses(entries: Collection[Entry]) -> list[KeyframeLine]:
    """Return the keyframes where they are now, in order."""
    poses: dict[str, Array] = {}
    for entry in entries:
        if isinstance(entry, CorrectLine):
            poses |= entry.moved
    lines = [entry for entry in entries if isinstance(entry, KeyframeLine)]
    return [line.model_copy(update={"pose": poses.get(line.name, line.pose)}) for line in lines]
