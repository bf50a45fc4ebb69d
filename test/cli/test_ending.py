"""How commands end when Ctrl-C is pressed: exit code 130, and a line that says what is left."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

RECONX = [sys.executable, "-m", "reconx_ros.cli.main"]
SMALL = ["--width", "160", "--height", "120"]
QUICK = ["--preset", "fast", "--synthesizer", "none", "--steps", "20"]


def interrupted(stage: str, *arguments: str | Path) -> str:
    """Run a command, send SIGINT when ``stage`` is told of, and return what else it said."""
    process = subprocess.Popen([*RECONX, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(stage):
            break
    process.send_signal(signal.SIGINT)
    told = process.stderr.read()
    assert process.wait(240) == 130, told
    assert "Traceback" not in told
    return told.splitlines()[-1]


def test_an_evaluation_keeps_what_it_measured(small_bag: Path, tmp_path: Path) -> None:
    told = interrupted(
        "evaluate: 1/", "evaluate", small_bag, "-o", tmp_path, "--hold-out", "every:2", *QUICK
    )
    assert told == f"reconx: interrupted; {tmp_path} holds what was measured by then"
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["partial"]
    assert 0 < len(figures["views"]) < len(list(frames(small_bag))) / 2


def test_work_that_has_nothing_yet_is_interrupted_and_not_at_fault(small_bag: Path, tmp_path: Path) -> None:
    told = interrupted("read: 1/", "evaluate", small_bag, "-o", tmp_path, "--inputs", "3", *QUICK)
    assert told.startswith("reconx: interrupted (")
    assert not list(tmp_path.iterdir())


def test_a_simulated_bag_holds_the_frames_made_by_then(tmp_path: Path) -> None:
    told = interrupted("frames: 1/", "simulate", "-o", tmp_path / "bag", "--frames", "500", *SMALL)
    assert told == "reconx: interrupted; the bag holds the frames made by then"
    assert 0 < len(frames(tmp_path / "bag")) < 500


def test_a_damaged_recording_is_told(small_bag: Path, tmp_path: Path) -> None:
    whole = next(small_bag.glob("*.mcap")).read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) * 6 // 10])
    command = [*RECONX, "evaluate", tmp_path / "cut.mcap", "-o", tmp_path / "out", *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1] == "reconx: the recording is damaged; its readable part was used"


def frames(bag: Path) -> list[str]:
    with open_source(bag, SourceConfig()) as source:
        return [frame.name for frame in source.frames()]
