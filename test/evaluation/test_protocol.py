import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reconx_ros.config import ReconxConfig, load_config
from reconx_ros.errors import ConfigError, MapError, SourceError
from reconx_ros.evaluation.protocol import evaluate
from reconx_ros.evaluation.render import render_cameras
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.folder import load_map
from reconx_ros.sources.nerfstudio import load_cameras, write_cameras

KEYS = {"psnr", "ssim", "flip", "psnr_covered"}


def write_scene(folder: Path, views: list[Keyframe]) -> Path:
    """Write ``views`` as a Nerfstudio folder with depth in millimetres."""
    (folder / "images").mkdir(parents=True)
    write_cameras(folder / "transforms.json", [(view.name, view.camera) for view in views])
    content = json.loads((folder / "transforms.json").read_text())
    for view, frame in zip(views, content["frames"], strict=True):
        frame["depth_file_path"] = f"images/{view.name}_depth.png"
        cv2.imwrite(str(folder / frame["file_path"]), cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(folder / frame["depth_file_path"]), np.rint(view.depth * 1000).astype(np.uint16))
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def scene(tmp_path: Path, plane_view: Callable[..., Keyframe]) -> Path:
    """Nine views of a wall with a box, from left to right."""
    views = [plane_view(x=0.06 * i - 0.24, y=0.01 * i, box=True, name=f"{i:03d}") for i in range(9)]
    return write_scene(tmp_path / "scene", views)


@pytest.fixture
def config() -> ReconxConfig:
    return load_config("fast", overrides={"splatting": {"steps": 30, "max_gaussians": 8000}})


def run(scene: Path, config: ReconxConfig, output: Path) -> dict[str, Any]:
    return evaluate(scene, config, "4", "every:4", output)


def test_all_frames_are_reduced_on_demand(scene: Path, config: ReconxConfig, tmp_path: Path) -> None:
    metrics = evaluate(scene, config, "4", "every:4", tmp_path / "out", image_width=60)
    assert metrics["settings"]["image_width"] == 60
    assert metrics["settings"]["config"]["keyframes"]["image_width"] == 60
    (camera, *_) = load_cameras(tmp_path / "out" / "cameras.json")
    assert camera[1].width == 60
    picture = cv2.imread(str(next((tmp_path / "out" / "comparison").glob("000*"))))
    assert picture.shape[1] < 60 * 7


def test_metrics_of_a_small_scene(
    scene: Path, config: ReconxConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = run(scene, config, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written == metrics
    assert [view["name"] for view in metrics["views"]] == ["000", "004", "008"]
    assert metrics["settings"]["inputs"] == ["001", "003", "005", "007"]
    for table in (metrics["mean"], metrics["baselines"]["points"], metrics["baselines"]["tsdf"]):
        assert table.keys() >= KEYS
    assert all(view.keys() >= {"name", *KEYS} for view in metrics["views"])
    assert metrics["mean"]["psnr_covered"] == pytest.approx(
        np.mean([v["psnr_covered"] for v in metrics["views"]])
    )
    assert metrics["mean"]["psnr_covered"] > 20
    assert metrics["baselines"]["points"]["psnr_covered"] > 27
    assert metrics["baselines"]["tsdf"]["psnr_covered"] > 20
    assert all(0.8 < view["covered"] <= 1 for view in metrics["views"])
    assert metrics["seconds"].keys() >= {
        "read",
        "geometry",
        "splatting",
        "render",
        "metrics",
        "baseline_tsdf",
    }
    assert metrics["peak_memory_bytes"] > 50 << 20
    assert "TSDF mesh" in capsys.readouterr().out
    strip = cv2.imread(str(tmp_path / "out" / "comparison" / "004.png"))
    assert strip.shape == (72 + 24, 5 * 96, 3)
    assert (tmp_path / "out" / "comparison" / "sheet.png").is_file()
    assert (tmp_path / "out" / "report.html").is_file()


def test_no_stage_sees_a_held_out_frame(scene: Path, config: ReconxConfig, tmp_path: Path) -> None:
    before = run(scene, config, tmp_path / "before")
    for name in ("000", "004", "008"):  # what was held out becomes a picture of nothing, at no distance
        for file in (scene / "images").glob(f"{name}*.png"):
            picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(file), np.zeros_like(picture) if picture.ndim == 3 else picture // 3)
    after = run(scene, config, tmp_path / "after")
    assert after["mean"]["psnr"] < before["mean"]["psnr"] - 5
    first, second = load_map(tmp_path / "before"), load_map(tmp_path / "after")
    assert np.abs(first.means - second.means).max() < 1e-5
    assert np.abs(first.sh - second.sh).max() < 1e-4
    names = {name for name, _ in load_cameras(tmp_path / "after" / "cameras.json")}
    assert names == {"001", "003", "005", "007"}


def test_bad_requests_are_refused_before_any_work(
    scene: Path, config: ReconxConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--hold-out 'some'"):
        evaluate(scene, config, "4", "some", tmp_path / "out")
    with pytest.raises(ConfigError, match="--inputs 9 is more than the 6 frames"):
        evaluate(scene, config, "9", "every:4", tmp_path / "out")
    with pytest.raises(ConfigError, match="frame 30, but the source has frames 0 to 8"):
        evaluate(scene, config, "all", "1,30", tmp_path / "out")
    with pytest.raises(SourceError, match="nowhere"):
        evaluate(tmp_path / "nowhere", config, "all", "every:8", tmp_path / "out")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(MapError, match="not writable"):
        evaluate(scene, config, "all", "every:8", file)


def test_pictures_at_given_cameras(
    scene: Path,
    config: ReconxConfig,
    tmp_path: Path,
    plane_view: Callable[..., Keyframe],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(scene, config, tmp_path / "out")
    cameras = [("small", plane_view().camera.resized(48, 36)), ("wide", plane_view(x=0.1).camera)]
    write_cameras(tmp_path / "cameras.json", cameras)
    files = render_cameras(tmp_path / "out", tmp_path / "cameras.json", tmp_path / "pictures")
    assert [file.name for file in files] == ["small.png", "wide.png"]
    small, wide = (cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files)
    assert small.shape == (36, 48, 3)
    assert wide.shape == (72, 96, 3)
    truth = plane_view(x=0.1, box=True).image
    assert np.abs(wide.astype(int) - truth).mean() < 20
    assert not warnings_of(caplog)
    content = json.loads((tmp_path / "cameras.json").read_text())
    (tmp_path / "bent.json").write_text(json.dumps({**content, "camera_model": "OPENCV", "k1": 0.1}))
    render_cameras(tmp_path / "out", tmp_path / "bent.json", tmp_path / "pictures")
    (warning,) = warnings_of(caplog)
    assert "2 of 2 cameras have lens distortion (first: small)" in warning


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "reconx_ros.evaluation.render"]
