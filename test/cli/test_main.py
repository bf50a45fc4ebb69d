"""The command line: quick help, one-line errors, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def reconx(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "reconx_ros.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['reconx', '--help']\nfrom reconx_ros.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("reconstruct", "render", "evaluate", "demo", "simulate", "info"):
        assert f"  {command} " in done.stdout
    for heavy in ("'torch'", "'open3d'", "'numba'", "'cv2'", "'scipy'"):
        assert heavy not in done.stdout


def test_a_wrong_source_is_named_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    code = "import sys\nfrom reconx_ros.cli.main import main\n"
    code += f"sys.argv = ['reconx', 'reconstruct', {str(tmp_path)!r}, '-o', {str(tmp_path / 'out')!r}]\n"
    code += "try: main()\nexcept SystemExit: pass\nprint(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{tmp_path} is not a source of frames" in done.stderr
    for heavy in ("'torch'", "'open3d'", "'numba'", "'scipy'"):
        assert heavy not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reconstruct", "/no/such/bag", "-o", "{tmp}"], "/no/such/bag"),
        (["reconstruct", "{tmp}", "-o", "{tmp}/out"], "{tmp}"),
        (["reconstruct", "x", "-o", "{tmp}", "--views", "1,b"], "'1,b' is not a list of frame numbers"),
        (["reconstruct", "x", "-o", "{tmp}", "--views", "1,1"], "distinct"),
        (["reconstruct", "x", "-o", "{tmp}", "--preset", "best"], "'best'"),
        (["reconstruct", "x", "-o", "{tmp}", "--views", "1", "--keyframes", "2"], "exclude each other"),
        (["reconstruct", "x", "-o", "{tmp}", "--config", "{tmp}/none.yaml"], "none.yaml cannot be read"),
        (["render", "{tmp}", "--cameras", "{tmp}/c.json", "-o", "{tmp}/out"], "map.ply is not there"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_known_error_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = reconx(*[a.format(tmp=tmp_path) for a in arguments])
    assert done.returncode == 2, done.stderr
    assert said.format(tmp=tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_output_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = reconx("reconstruct", tmp_path, "-o", tmp_path / "file" / "run")
    assert done.returncode == 2
    assert "is not writable" in done.stderr


def test_an_output_of_any_name(tmp_path: Path) -> None:
    bag = tmp_path / os.fsdecode(b"caf\xe9")
    command = [sys.executable, "-m", "reconx_ros.cli.main", "simulate", "-o", bag, "--frames", "1"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}  # as with LANG=en_US.UTF-8
    size = ("--width", "16", "--height", "16")
    done = subprocess.run([*command, *size], capture_output=True, text=True, env=strict, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"bag -> {tmp_path}/caf\\udce9\n"


def test_info_prints_what_a_bug_report_needs() -> None:
    done = reconx("info")
    assert done.returncode == 0, done.stderr
    for word in ("reconx_ros", "torch", "gpu", "processor", "ros"):
        assert word in done.stdout
