"""`reconx reconstruct` and `render` as a user runs them: real processes, a simulated recording."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import KDTree

from reconx_ros.mapping.field_file import read_field
from reconx_ros.mapping.folder import load, load_map
from reconx_ros.mapping.ply import read_cloud
from reconx_ros.sources.nerfstudio import load_cameras

RECONX = [sys.executable, "-m", "reconx_ros.cli.main"]
QUICK = ["--preset", "fast", "--synthesizer", "none", "--steps", "20"]
FIELD = ["--distance-field", "0.1"]


def reconx(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RECONX, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(small_bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished reconstruction."""
    folder = tmp_path_factory.mktemp("run")
    done = reconx("reconstruct", small_bag, "-o", folder, "--views", "0,3,6", *QUICK, *FIELD)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_recording_becomes_a_run_folder(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {"map.ply", "cloud.ply", "cameras.json", "config.yaml", "report.json", "report.html"} <= names
    report = json.loads((finished / "report.json").read_text())
    assert report["keyframes"] == ["000000", "000003", "000006"]
    assert report["optimisation"]["steps"] == 20
    assert report["partial"] is False
    assert len(load_map(finished)) == report["gaussians"] > 1000


def test_a_map_is_exported_as_a_dense_cloud(finished: Path, tmp_path: Path) -> None:
    done = reconx("export", finished, "-o", tmp_path / "densified.ply", "--spacing", "0.01")
    assert done.returncode == 0, done.stderr
    dense, fused = read_cloud(tmp_path / "densified.ply"), load(finished).cloud
    assert f"{len(dense):,} points" in done.stdout
    assert len(dense) > len(fused)
    distance, _ = KDTree(fused.points).query(dense.points)
    assert np.median(distance) < 0.02


def test_a_distance_field_says_where_the_cameras_could_go(finished: Path) -> None:
    field = read_field(finished / "distance_field.npz")
    assert field.voxel_size == 0.1
    counts = {kind: int((field.occupancy == kind).sum()) for kind in (0, 100)}
    assert counts[0] > 500
    assert counts[100] > 500
    told = json.loads((finished / "report.json").read_text())["distance_field"]
    assert told == {"voxel_size": 0.1, "free": counts[0], "occupied": counts[100]}
    for _, camera in load_cameras(finished / "cameras.json"):  # what is before a camera is free
        ahead = camera.centre + 0.4 * camera.world_from_camera[:3, 2]
        index = tuple(np.floor((ahead - field.origin) / field.voxel_size).astype(int))
        assert field.occupancy[index] == 0
        assert field.distance[index] > 0.1


def test_rendered_pictures_are_named_and_sized_like_the_cameras(finished: Path, tmp_path: Path) -> None:
    done = reconx("render", finished, "--cameras", finished / "cameras.json", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    pictures = {path.stem: cv2.imread(str(path)) for path in tmp_path.glob("*.png")}
    assert sorted(pictures) == ["000000", "000003", "000006"]
    assert all(picture.shape == (120, 160, 3) for picture in pictures.values())


def test_resuming_goes_on_from_the_map_that_is_there(
    finished: Path, small_bag: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    done = reconx(
        "reconstruct",
        small_bag,
        "-o",
        folder,
        "--views",
        "0,3,6",
        *QUICK[:-1],
        "0",
        "--resume",
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(load_map(folder).means, load_map(finished).means, atol=1e-6)


def test_a_truncated_bag_gives_a_partial_map_and_exit_code_3(small_bag: Path, tmp_path: Path) -> None:
    whole = next(small_bag.glob("*.mcap")).read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) * 6 // 10])
    done = reconx("reconstruct", tmp_path / "cut.mcap", "-o", tmp_path / "run", "--keyframes", "3", *QUICK)
    assert done.returncode == 3, done.stderr
    assert "damaged" in done.stderr
    report = load(tmp_path / "run").report
    assert report["partial"] is True
    assert report["source"]["warnings"]


def test_one_keyframe_is_enough(small_bag: Path, tmp_path: Path) -> None:
    done = reconx("reconstruct", small_bag, "-o", tmp_path, "--views", "4", *QUICK)
    assert done.returncode == 0, done.stderr
    assert len(load_map(tmp_path)) > 1000


def test_ctrl_c_saves_what_is_mapped(small_bag: Path, tmp_path: Path) -> None:
    """Interrupted in the middle of a run that would take an hour."""
    command = [*RECONX, "reconstruct", str(small_bag), "-o", str(tmp_path), "--views", "0,3,6"]
    process = subprocess.Popen([*command, "--steps", "1000000"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("splatting") and int(line.split()[1].split("/")[0]) >= 20:
            process.send_signal(signal.SIGINT)
            break
    assert process.wait(timeout=240) == 130
    report = load(tmp_path).report
    assert report["cancelled"] is True
    assert 20 <= report["optimisation"]["steps"] < 1000000


def test_ctrl_c_before_any_work_ends_quickly(small_bag: Path, tmp_path: Path) -> None:
    """A test run in the background inherits an ignored SIGINT: the process heeds it first of all."""
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); print(flush=True)"
    start = f"{heed}; from reconx_ros.cli.main import main; main()"
    command = [sys.executable, "-c", start, "reconstruct", str(small_bag), "-o", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) in (1, 130, -signal.SIGINT)
    assert not list(tmp_path.iterdir())


def test_views_past_the_end_are_named(small_bag: Path, tmp_path: Path) -> None:
    done = reconx("reconstruct", small_bag, "-o", tmp_path, "--views", "0,99", *QUICK)
    assert done.returncode == 2
    assert "view 99 is past the end" in done.stderr
