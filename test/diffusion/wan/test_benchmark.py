"""The GPU script's arguments, and a run at tiny size."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu" / "wan_vace.py"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])  # as for a script that is run
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result.json"
    small = ("--tiny", "--frames", "5", "--size", "32", "48", "--steps", "2", "--json", str(file))
    run(monkeypatch, *small, "--stages", "plain")
    first = json.loads(file.read_text())
    assert set(first["stages"]) == {"plain"}
    assert first["stages"]["plain"]["clip_s"] > 0
    run(monkeypatch, *small, "--stages", "plain", "guided")
    second = json.loads(file.read_text())
    assert set(second["stages"]) == {"plain", "guided"}
    assert second["stages"]["plain"] == first["stages"]["plain"]
    run(monkeypatch, *small[:-3], "3", *small[-2:], "--stages", "plain")
    assert json.loads(file.read_text())["steps"] == 3
    assert set(json.loads(file.read_text())["stages"]) == {"plain"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tiny", "--frames", "6"), "6 is not 4k + 1"),
        (("--tiny", "--size", "30", "48"), "multiples of 16"),
        (("--tiny", "--steps", "0"), "at least 1"),
        (("--stages", "everything"), "invalid choice"),
        pytest.param(
            (),
            "no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here"),
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
