"""A run folder is written whole or not at all."""

import json
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.config import load_config
from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.field_file import read_field
from reconx_ros.mapping.folder import check_writable, load, load_map, save
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.splatting.gaussians import GaussianMap


def a_reconstruction(count: int = 12) -> Reconstruction:
    rng = np.random.default_rng(count)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    ones = np.ones(count, np.float32)
    gaussians = GaussianMap(
        draw(count, 3),
        draw(count, 3),
        draw(count, 4),
        draw(count),
        draw(count, 1, 3),
        ones,
        np.zeros(count, np.uint8),
    )
    cloud = PointCloud(
        draw(count, 3),
        np.zeros((count, 3), np.uint8),
        draw(count, 3),
        2 * ones,
        np.zeros(count, np.uint8),
        np.ones(count, np.int32),
    )
    camera = Camera(np.diag([100.0, 100.0, 1.0]), np.eye(4), 32, 24)
    keyframe = Keyframe("000007", 5, np.zeros((24, 32, 3), np.uint8), camera)
    return Reconstruction(gaussians, cloud, (keyframe,), True, report={"partial": True})


def test_everything_is_there_and_comes_back(tmp_path: Path) -> None:
    written = a_reconstruction()
    save(written, tmp_path / "run", load_config("fast"))
    names = sorted(p.name for p in (tmp_path / "run").iterdir())
    assert names == [
        "appearance.json",
        "cameras.json",
        "cloud.ply",
        "config.yaml",
        "map.ply",
        "report.json",
    ]
    read = load(tmp_path / "run")
    np.testing.assert_array_equal(read.gaussians.means, written.gaussians.means)
    np.testing.assert_array_equal(read.cloud.points, written.cloud.points)
    assert read.metric
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["keyframes"] == ["000007"]
    assert report["partial"] is True
    assert load_config("quality", tmp_path / "run" / "config.yaml") == load_config("fast")


def test_a_full_disk_leaves_the_old_map(tmp_path: Path) -> None:
    """A process that may write no file over 2 kB fails half-way; the map from before still loads."""
    old = a_reconstruction(3)
    save(old, tmp_path, load_config("fast"))
    script = textwrap.dedent(f"""
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_folder import a_reconstruction
        from reconx_ros.config import load_config
        from reconx_ros.errors import MapError
        from reconx_ros.mapping.folder import save
        bigger = a_reconstruction(500)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))
        try:
            save(bigger, Path({str(tmp_path)!r}), load_config("fast"))
        except MapError as err:
            print(err)
        """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "cannot be saved" in done.stdout
    assert "the old map is intact" in done.stdout
    np.testing.assert_array_equal(load(tmp_path).gaussians.means, old.gaussians.means)
    assert not list(tmp_path.glob(".saving-*"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2048


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MapError, match="file/run is not writable"):
        check_writable(tmp_path / "file" / "run")


def test_a_folder_without_a_map_says_so(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"map\.ply is not there"):
        load_map(tmp_path)


def test_a_distance_field_lies_beside_the_map_where_it_is_wanted(tmp_path: Path) -> None:
    wanted = load_config("fast", overrides={"mapping": {"distance_field": {"voxel_size": 0.25}}})
    made = a_reconstruction()
    save(made, tmp_path, wanted)
    field = read_field(tmp_path / "distance_field.npz")
    index = np.floor((made.cloud.points - field.origin) / field.voxel_size).astype(int)
    assert (field.occupancy[tuple(index.T)] == 100).all()
    told = json.loads((tmp_path / "report.json").read_text())["distance_field"]
    assert told == {"voxel_size": 0.25, "free": 0, "occupied": int((field.occupancy == 100).sum())}
    picky = load_config(
        "fast", overrides={"mapping": {"distance_field": {"voxel_size": 0.25, "min_confidence": 1.0}}}
    )
    save(made, tmp_path, picky)  # the map is kept all the same
    told = json.loads((tmp_path / "report.json").read_text())["distance_field"]
    assert told["missing"].startswith("none of 12 points is observed")
    assert load(tmp_path).gaussians is not None
    assert not (tmp_path / "distance_field.npz").exists()  # that of the older map is gone
