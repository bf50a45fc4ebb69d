"""Going on from a map with views of other places: nothing of it is lost, what is new is observed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconx_ros.cli.reconstruction import check_same_views
from reconx_ros.config import load_config
from reconx_ros.errors import ConfigError, GeometryError
from reconx_ros.geometry.protocol import OBSERVED, PointCloud
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.pipeline import reconstruct_keyframes
from reconx_ros.sources.config import SourceConfig
from reconx_ros.sources.open import open_source

CONFIG = load_config(
    "fast", None, {"splatting": {"steps": 5, "max_gaussians": 100_000}, "synthesis": {"method": "none"}}
)


@pytest.fixture(scope="module")
def frames(small_bag: Path) -> list[Keyframe]:
    with open_source(small_bag, SourceConfig()) as source:
        return list(source.frames())


@pytest.fixture(scope="module")
def first(frames: list[Keyframe]) -> Reconstruction:
    return reconstruct_keyframes(frames[:2], CONFIG)


def voxels(cloud: PointCloud) -> set[tuple[int, ...]]:
    return set(map(tuple, np.floor(cloud.points / CONFIG.geometry.fusion.voxel_size).astype(int).tolist()))


def test_other_views_add_to_the_map(frames: list[Keyframe], first: Reconstruction) -> None:
    alone = reconstruct_keyframes(frames[5:7], CONFIG)
    both = reconstruct_keyframes(frames[5:7], CONFIG, start=first)
    here, there = voxels(first.cloud), voxels(alone.cloud)
    assert len(there - here) > 1000
    assert len(voxels(both.cloud) & here) > 0.97 * len(here)  # but what they see through
    assert len(voxels(both.cloud) & there) > 0.97 * len(there)
    observed = [int((each.gaussians.provenance == OBSERVED).sum()) for each in (first, both)]
    assert observed[1] - observed[0] > 0.9 * len(there - here)
    assert len(both.appearance.gains) == 4
    np.testing.assert_array_equal(both.appearance.gains[2:], first.appearance.gains)


def test_the_same_views_add_nothing(frames: list[Keyframe], first: Reconstruction) -> None:
    again = reconstruct_keyframes(frames[:2], CONFIG, start=first)
    assert len(again.cloud) == len(first.cloud)
    assert len(again.gaussians) <= len(first.gaussians)
    assert len(again.appearance.gains) == 2


def test_metres_and_no_unit_do_not_go_together(frames: list[Keyframe], first: Reconstruction) -> None:
    with pytest.raises(
        GeometryError, match="go on from have no unit, those of these keyframes are in metres"
    ):
        reconstruct_keyframes(frames[:2], CONFIG, start=replace(first, metric=False))


def test_views_without_poses_have_to_be_those_of_the_map(frames: list[Keyframe]) -> None:
    views = [replace(frame, posed=False) for frame in frames[:4]]
    check_same_views({"keyframes": ["000000", "000002", "000003"], "left_out": ["000001"]}, views)
    with pytest.raises(ConfigError, match=r"not the 2 of the map \(differs: 000002, 000003\)"):
        check_same_views({"keyframes": ["000000", "000001"]}, views)
    with pytest.raises(ConfigError, match=r"differs: photo"):
        check_same_views({"keyframes": ["000000", "000001", "000002", "000003", "photo"]}, views)
