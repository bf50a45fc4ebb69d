"""What a worker that starts anew has to be told so that nothing mapped is lost."""

from pathlib import Path

from reconx_ros.keyframes.buffer import KeyframeBuffer
from reconx_ros.ros.link import AddKeyframe, Begin, Command, Load, Pause, Reset


class Journal:
    """Remembers the commands that make up the map: bounded, as the buffer of keyframes is."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._buffer = KeyframeBuffer(begin.config.keyframes.capacity)
        self._frames: dict[str, str] = {}
        self._epoch, self._paused = 0, False
        self._base: Path | None = None

    def __len__(self) -> int:
        """Return the number of keyframes remembered."""
        return len(self._buffer)

    @property
    def holds(self) -> bool:
        """Whether there is anything that makes up a map."""
        return len(self._buffer) > 0 or self._base is not None

    def note(self, command: Command) -> None:
        """Remember ``command`` where it changes the map."""
        if isinstance(command, AddKeyframe):
            self._frames[command.keyframe.name] = command.camera_frame
            gone = self._buffer.add(command.keyframe)
            if gone is not None:
                del self._frames[gone.name]
        elif isinstance(command, Reset):
            self._epoch = command.epoch
            self._forget(None)
        elif isinstance(command, Pause):
            self._paused = command.paused

    def loaded(self, folder: Path) -> None:
        """Note that the map was replaced by the one saved in ``folder``."""
        self._forget(folder)

    def replay(self) -> list[Command]:
        """Return the commands that bring a new worker up to date."""
        commands: list[Command] = [self._begin, Reset(self._epoch), Pause(self._paused)]
        if self._base is not None:
            commands.append(Load(0, self._base))
        return commands + [AddKeyframe(k, self._frames[k.name]) for k in self._buffer.keyframes]

    def _forget(self, base: Path | None) -> None:
        self._base = base
        self._buffer.clear()
        self._frames.clear()
