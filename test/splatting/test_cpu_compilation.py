"""Where the machine code of kernels is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from reconx_ros.splatting.cpu import compilation

COUNT = (
    "import numpy as np; from reconx_ros.splatting.cpu import tiles\n"
    "tiles.place_tiles(np.zeros((1, 2), np.int32), np.zeros(2, np.int32), np.zeros(1, np.int32))\n"
    "print(sum(tiles.place_tiles.stats.cache_misses.values()))\n"
)


def misses(folder: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env={"NUMBA_CACHE_DIR": str(folder), "PATH": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_code_is_kept_in_the_folder_numba_is_told(tmp_path: Path) -> None:
    assert misses(tmp_path) == 1
    kept = list(tmp_path.glob("kernels-*/**/tiles.place_tiles-*.nbc"))
    assert len(kept) == 1
    assert misses(tmp_path) == 0


def test_a_change_of_any_source_gives_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu").mkdir()
    for path in (tmp_path / "cpu" / "one.py", tmp_path / "cpu" / "two.py", tmp_path / "model.py"):
        path.write_text("A = 1\n")
    monkeypatch.setattr(compilation, "HERE", tmp_path / "cpu")
    names = {compilation._sources()}
    (tmp_path / "cpu" / "two.py").write_text("A = 2\n")
    names.add(compilation._sources())
    (tmp_path / "model.py").write_text("A = 2\n")
    names.add(compilation._sources())
    assert len(names) == 3


def test_without_a_place_kernels_are_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_writable", lambda _: False)
    assert compilation._cache_folder() is None
    monkeypatch.setattr(compilation, "_FOLDER", None)
    double = compilation.kernel()(lambda x: 2 * x)
    assert double(21) == 42
    assert not double.stats.cache_path
