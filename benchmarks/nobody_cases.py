"""Cases of ``nobody.py``: recordings and procedural rooms, and which of their frames are held out."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconx_ros.simulation.simulate import simulate

WIDTH = 160
ROOM_FRAMES, ROOM_HOLD_OUT = 32, "every:4"
ROOMS: dict[int, tuple[int, ...]] = {901: (4,), 903: (4,), 909: (4,), 910: (2, 4), 911: (4,)}
"""Two that lost where no input saw (part ``downstream`` of ``synthesis.py``), and three never looked at."""

RECORDINGS: dict[str, tuple[tuple[str, tuple[int, ...]], ...]] = {
    "fern": (("every:8", (2, 3, 4)),),
    "fox": (("every:8", (3, 4, 5, 6)), ("every:8+4", (3, 4, 5))),
    "redkitchen_bag": (("every:8", (2, 3, 4, 6)), ("every:8+4", (2,))),
}
STEREO = (4,)
LARGE, LARGE_WIDTH = (3, 5), 320


@dataclass(frozen=True)
class Case:
    """One reconstruction to try with filming and without.

    Attributes:
        scene: what it shows; cases of one scene are not independent.
        source: bag or folder.
        inputs: number of input views.
        held_out: rule of the frames measured on.
        stereo: whether depth is matched though the recording has measured it.
        width: pixels of the keyframes; frames are as wide, up to 256.
    """

    scene: str
    source: Path
    inputs: int
    held_out: str
    stereo: bool = False
    width: int = WIDTH

    @property
    def name(self) -> str:
        """In tables, and of its files."""
        other = self.held_out.partition("+")[2]
        return f"{self.scene} {self.inputs}" + (f" +{other}" if other else "") + self._how

    @property
    def _how(self) -> str:
        return " stereo" * self.stereo + f" {self.width}" * (self.width != WIDTH)


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield those that ``arguments.cases`` names, or all; rooms are made when they are asked for."""
    wanted = [name for name in arguments.cases.split(",") if name]
    for case in _all(arguments.data, arguments.output):
        if wanted and case.name not in wanted:
            continue
        if not case.source.exists():
            simulate(
                case.source,
                seed=int(case.source.name),
                frames=ROOM_FRAMES,
                noise=True,
                width=WIDTH,
                height=3 * WIDTH // 4,
            )
        yield case


def _all(data: Path, output: Path) -> Iterator[Case]:
    for recording, splits in RECORDINGS.items():
        for held_out, counts in splits:
            for count in counts:
                yield Case(recording, data / recording, count, held_out)
    for count in STEREO:
        yield Case("redkitchen_bag", data / "redkitchen_bag", count, "every:8", stereo=True)
    for count in LARGE:
        yield Case("fox", data / "fox", count, "every:8", width=LARGE_WIDTH)
    for seed, counts in ROOMS.items():
        for count in counts:
            yield Case(f"room {seed}", output / "rooms" / str(seed), count, ROOM_HOLD_OUT)
