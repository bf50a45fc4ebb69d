"""Commands and replies as JSON values: what travels beside pictures and rows between machines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reconx_ros.camera import Camera
from reconx_ros.config import ReconxConfig
from reconx_ros.errors import ReconxError
from reconx_ros.ros.link_commands import (
    Begin,
    Cancel,
    ClearBox,
    Command,
    Correct,
    Load,
    Pause,
    Reconstruct,
    Resend,
    Reset,
    Save,
    Stop,
)
from reconx_ros.ros.link_replies import Activity, Answer, Ready, Refused, Released, Reply, Trouble

Values = dict[str, Any]


class LinkError(ReconxError):
    """A message of the link makes no sense."""


def command_values(command: Command) -> tuple[str, str]:
    """Return kind and JSON of a command that carries no keyframe."""
    kind = _KINDS[type(command)]
    values: Values = {}
    if isinstance(command, Begin):
        values = {
            "config": command.config.model_dump(mode="json"),
            "min_keyframes": command.min_keyframes,
            "update_period_s": command.update_period_s,
        }
    elif isinstance(command, Correct):
        values = {"names": command.names, "poses": command.poses.tolist()}
    elif isinstance(command, ClearBox):
        box = {name: getattr(command, name).tolist() for name in ("low", "high", "world_from_box")}
        values = {"request": command.request, **box}
    elif isinstance(command, Reconstruct):
        source = None if command.source is None else str(command.source)
        values = {
            "request": command.request,
            "source": source,
            "config": command.config.model_dump(mode="json"),
            "steps": command.steps,
            "folder": str(command.folder),
        }
    elif isinstance(command, Stop):
        values = {"request": command.request, "save": command.folder is not None}
    else:
        values = {name: str(v) if isinstance(v, Path) else v for name, v in vars(command).items()}
    return kind, json.dumps(values)


def command_from_values(kind: str, text: str, folder: Path) -> Command:
    """Return the command of a kind and its JSON.

    Args:
        kind: as ``command_values`` names it.
        text: JSON.
        folder: where this machine saves maps; others are relative to it.

    Raises:
        LinkError: no such command, or values that make no sense.
    """
    readers: dict[str, Callable[[Values], Command]] = {
        "begin": lambda v: Begin(
            ReconxConfig.model_validate(v["config"]), int(v["min_keyframes"]), float(v["update_period_s"])
        ),
        "pause": lambda v: Pause(bool(v["paused"])),
        "reset": lambda v: Reset(int(v["epoch"])),
        "save": lambda v: Save(int(v["request"]), folder / v["folder"]),
        "load": lambda v: Load(int(v["request"]), folder / v["folder"]),
        "stop": lambda v: Stop(int(v["request"]), folder if v["save"] else None),
        "correct": lambda v: Correct(tuple(v["names"]), np.array(v["poses"], float).reshape(-1, 4, 4)),
        "clear_box": lambda v: ClearBox(
            int(v["request"]),
            np.array(v["low"], float).reshape(3),
            np.array(v["high"], float).reshape(3),
            np.array(v["world_from_box"], float).reshape(4, 4),
        ),
        "reconstruct": lambda v: Reconstruct(
            int(v["request"]),
            None if v["source"] is None else Path(v["source"]),
            ReconxConfig.model_validate(v["config"]),
            int(v["steps"]),
            folder / v["folder"],
        ),
        "cancel": lambda v: Cancel(int(v["request"])),
        "resend": lambda _: Resend(),
    }
    command: Command = _read(readers, kind, text)
    return command


def reply_values(reply: Reply) -> tuple[str, str]:
    """Return kind and JSON of a reply that carries no pictures or rows."""
    return _KINDS[type(reply)], json.dumps(vars(reply))


def reply_from_values(kind: str, text: str) -> Reply:
    """Return the reply of a kind and its JSON.

    Raises:
        LinkError: no such reply, or values that make no sense.
    """
    readers: dict[str, Callable[[Values], Reply]] = {
        name: lambda v, made=made: made(**v)  # type: ignore[misc]
        for name, made in (
            ("ready", Ready),
            ("refused", Refused),
            ("activity", Activity),
            ("answer", Answer),
            ("trouble", Trouble),
        )
    }
    readers["released"] = lambda v: Released(tuple(v["names"]))
    reply: Reply = _read(readers, kind, text)
    return reply


def camera_values(camera: Camera) -> list[float]:
    """Return a camera as 23 numbers: width, height, intrinsics and the upper rows of its pose."""
    k = camera.intrinsics.reshape(-1)
    return [camera.width, camera.height, *k.tolist(), *camera.world_from_camera[:3].reshape(-1).tolist()]


def camera_from_values(numbers: list[float]) -> Camera:
    """Return the camera of ``camera_values``."""
    pose = np.eye(4)
    pose[:3] = np.array(numbers[11:23], float).reshape(3, 4)
    k = np.array(numbers[2:11], float).reshape(3, 3)
    return Camera(k, pose, int(numbers[0]), int(numbers[1]))


_KINDS: dict[type, str] = {
    Begin: "begin",
    Pause: "pause",
    Reset: "reset",
    Save: "save",
    Load: "load",
    Stop: "stop",
    Correct: "correct",
    ClearBox: "clear_box",
    Reconstruct: "reconstruct",
    Cancel: "cancel",
    Resend: "resend",
    Ready: "ready",
    Refused: "refused",
    Released: "released",
    Activity: "activity",
    Answer: "answer",
    Trouble: "trouble",
}


def _read(readers: dict[str, Callable[[Values], Any]], kind: str, text: str) -> Any:  # noqa: ANN401
    reader = readers.get(kind)
    if reader is None:
        raise LinkError(f"'{kind}' over the link is unknown: both ends need the same version")
    try:
        return reader(json.loads(text))
    except (ValueError, KeyError, TypeError) as err:
        line = " ".join(str(err).split())
        raise LinkError(f"'{kind}' over the link makes no sense: {type(err).__name__}: {line}") from err
