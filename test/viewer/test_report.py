import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.camera import Camera
from reconx_ros.errors import MapError
from reconx_ros.geometry.protocol import GENERATED, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.splatting.gaussians import GaussianMap
from reconx_ros.viewer.report import MAX_THUMBNAILS, write_report


def scene(count: int, views: int) -> Reconstruction:
    """``count`` Gaussians and points before ``views`` cameras; every third is generated."""
    random = np.random.default_rng(0)
    means = random.uniform([-1, -1, 2], [1, 1, 3], (count, 3)).astype(np.float32)
    provenance = (np.arange(count) % 3 == 0).astype(np.uint8) * GENERATED
    gaussians = GaussianMap(
        means=means,
        log_scales=np.full((count, 3), -3, np.float32),
        quaternions_wxyz=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        opacity_logits=np.ones(count, np.float32),
        sh=random.uniform(-1, 1, (count, 1, 3)).astype(np.float32),
        confidence=random.uniform(0, 1, count).astype(np.float32),
        provenance=provenance,
    )
    cloud = PointCloud(
        points=means,
        colors=np.full((count, 3), 99, np.uint8),
        normals=np.tile(np.array([0, 0, -1], np.float32), (count, 1)),
        confidence=np.ones(count, np.float32),
        provenance=provenance,
        views=np.arange(count, dtype=np.int32) % 4,
    )
    camera = Camera(np.array([[40.0, 0, 23.5], [0, 40.0, 17.5], [0, 0, 1]]), np.eye(4), 48, 36)
    image = np.full((36, 48, 3), 128, np.uint8)
    keyframes = tuple(Keyframe(f"{i:04d}", 0, image, camera) for i in range(views))
    seconds = {"geometry": 1.25, "splatting": 2.5}
    report = {"seconds": seconds, "geometry": "rgbd", "geometry_reason": "3 of 3 keyframes have depth"}
    return Reconstruction(gaussians, cloud, keyframes, True, report=report)


def test_the_page_states_the_figures_and_needs_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("splatting: {steps: 7}\n")
    text = write_report(scene(300, 3), tmp_path).read_text()
    for figure in (
        "<td>300</td>",
        "<td>100</td>",
        "<td>200</td>",
        "<td>150</td>",
        "<td>1.25</td>",
        "<td>3.75</td>",
        "<td>3 of 3 keyframes have depth</td>",
    ):
        assert figure in text
    assert "splatting: {steps: 7}" in text
    assert text.count("data:image/jpeg") == 6
    assert text.count("data:image/png") == 2
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "<script" not in text
    assert 'class="warnings"' not in text


@pytest.mark.parametrize(("count", "views"), [(0, 0), (1, 1), (5, 0), (0, 2), (50, 60)])
def test_any_size(tmp_path: Path, count: int, views: int) -> None:
    text = write_report(scene(count, views), tmp_path).read_text()
    assert text.endswith("</html>\n")
    assert text.count("data:image/jpeg") == 2 * min(views, MAX_THUMBNAILS)


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"a map \xe9")
    folder.mkdir()
    text = write_report(scene(3, 1), folder).read_text()
    assert f"reconx render &#x27;{tmp_path}/a map ?&#x27; --cameras" in text
    assert "<title>reconx: a map ?</title>" in text


def test_warnings_are_shown_escaped(tmp_path: Path) -> None:
    report = {
        "partial": True,
        "cancelled": True,
        "warnings": ["depth <none>"],
        "source": {"warnings": ["a & b"], "dropped": {"no pose": 4}},
    }
    result = replace(scene(3, 1), metric=False, report=report)
    text = write_report(result, tmp_path).read_text()
    for line in (
        "depth &lt;none&gt;",
        "a &amp; b",
        "4 frames dropped: no pose",
        "damaged",
        "stopped early",
        "not in metres",
    ):
        assert line in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"nowhere/report\.html cannot be written"):
        write_report(scene(1, 1), tmp_path / "nowhere")
