"""The worker's warm-up reaches every kernel that the first keyframes would otherwise wait for."""

import fcntl
import threading
from pathlib import Path

import pytest

from reconx_ros.config import load_config
from reconx_ros.geometry.agreement import _judge
from reconx_ros.geometry.stereo.cpu.semi_global import add_path
from reconx_ros.geometry.stereo.cpu.volume import fill
from reconx_ros.geometry.stereo.cpu.winner import winners
from reconx_ros.ros.warmup import _state, compile_apart, warm_up


def test_stereo_is_warm_where_it_is_configured() -> None:
    warm_up(load_config("fast", None, {"geometry": {"method": "plane-sweep"}}))
    for kernel in (fill, add_path, winners, _judge):
        assert kernel.signatures, kernel.py_func.__name__  # compiled, or read from disk where it was kept


def test_the_first_time_is_compiled_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconx_ros.splatting.cpu.compilation._FOLDER", tmp_path)
    config = load_config("fast")
    assert compile_apart(config)
    assert not compile_apart(config)  # all of it is on disk now
    assert {file.name for file in tmp_path.iterdir()} == {f"warm-{_state(config)}", "compiling"}
    assert _state(config) != _state(load_config("fast", None, {"geometry": {"method": "plane-sweep"}}))


def test_who_comes_while_another_compiles_waits_and_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconx_ros.splatting.cpu.compilation._FOLDER", tmp_path)
    config, found = load_config("fast"), []
    second = threading.Thread(target=lambda: found.append(compile_apart(config)))
    with (tmp_path / "compiling").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        (tmp_path / f"warm-{_state(config)}").touch()
    second.join(60)
    assert found == [False]


def test_where_nothing_can_be_kept_all_is_compiled_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconx_ros.splatting.cpu.compilation._FOLDER", None)
    assert not compile_apart(load_config("fast"))
