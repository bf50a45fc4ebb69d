"""A real recording whose poses are hidden: reconstructed as images of a calibrated camera."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from reconx_ros.cli.reconstruction import Request, run
from reconx_ros.config import load_config
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.progress import Silent
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

VIEWS = [0, 5, 10, 15, 20]
POSES = ("/tf", "/odom")
DEPTH = ("/camera/aligned_depth_to_color/image_raw", "/camera/aligned_depth_to_color/camera_info")


@pytest.fixture(scope="module")
def truth(redkitchen_bag: Path) -> list[Keyframe]:
    """The frames of ``VIEWS`` with their recorded poses."""
    with open_source(redkitchen_bag, SourceConfig(duration=4)) as source:
        frames = list(source.frames())
    return [frames[index] for index in VIEWS]


@pytest.fixture
def without(redkitchen_bag: Path, tmp_path: Path) -> Callable[[tuple[str, ...]], Path]:
    """Writes the bag anew without some topics."""

    def write(topics: tuple[str, ...]) -> Path:
        path = tmp_path / "bag"
        with (
            Reader(redkitchen_bag) as reader,
            Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as out,
        ):
            kept = [c for c in reader.connections if c.topic not in topics]
            made = {
                c.id: out.add_connection(c.topic, c.msgtype, msgdef=c.msgdef.data, rihs01=c.digest)
                for c in kept
            }
            for connection, stamp, message in reader.messages(kept):
                out.write(made[connection.id], stamp, message)
        return path

    return write


def reconstruct(bag: Path, output: Path) -> Reconstruction:
    config = load_config(
        "fast",
        None,
        {
            "splatting": {"steps": 5},
            "synthesis": {"method": "none"},
            "geometry": {"poses": {"image_width": 480, "max_features": 2000}},
        },
    )
    return run(Request(bag, output, config, views=VIEWS), Silent())


def ratios(found: Reconstruction, truth: list[Keyframe]) -> np.ndarray:
    """Distances between any two cameras, over the recorded ones."""
    centres = [np.array([k.camera.centre for k in views]) for views in (found.keyframes, truth)]
    first, second = np.triu_indices(len(truth), 1)
    one, two = (np.linalg.norm(c[first] - c[second], axis=1) for c in centres)
    return np.asarray(one / two)


def test_colour_alone_gives_a_map_without_unit_and_says_so(
    without: Callable[..., Path], truth: list[Keyframe], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = reconstruct(without((*POSES, *DEPTH, "/tf_static")), tmp_path / "map")
    assert not found.metric
    assert found.report["geometry"] == "plane-sweep"
    (line,) = found.report["warnings"]
    assert line in caplog.text
    assert "none of 5 keyframes has a pose" in line and "no unit" in line
    size = ratios(found, truth)
    assert size.std() < 0.05 * size.mean()
    assert len(found.cloud) > 10_000


def test_measured_depth_makes_it_metric(
    without: Callable[..., Path], truth: list[Keyframe], tmp_path: Path
) -> None:
    found = reconstruct(without(POSES), tmp_path / "map")
    assert found.metric
    assert found.report["geometry"] == "rgbd"
    assert "metres by measured depth" in found.report["warnings"][0]
    # Features with their sensor depth (PnP) agree with the cameras found, to 1 degree, and not with the
    # recorded poses, 2 to 4 degrees off over two seconds: hence the tolerance.
    np.testing.assert_allclose(ratios(found, truth), 1, atol=0.2)
