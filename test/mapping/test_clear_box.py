"""A cleared box: what lies in it goes, in memory and on disk, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_submaps import FAST, keyframe, turn

from reconx_ros.config import load_config
from reconx_ros.errors import MapError
from reconx_ros.mapping.box import Box
from reconx_ros.mapping.folder import load, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.splatting.rasterize import render_view

PLACES = (0.0, 10.0, 20.0, 30.0)
EMPTY = np.array([-50.0, -50.0, -50.0]), np.array([-40.0, -40.0, -40.0])


@pytest.fixture
def mapper(tmp_path: Path) -> IncrementalMapper:
    """Four submaps of which three rest, together far above the cap."""
    splatting = FAST["splatting"] | {"max_gaussians": 3500}
    mapping = {"submap_radius": 1.0, "active_radius": 6.0}
    made = IncrementalMapper(
        load_config("fast", None, {"splatting": splatting, "mapping": mapping}), tmp_path / "submaps"
    )
    for index, x in enumerate(PLACES):
        made.add(keyframe(str(index), x))
    assert made.submaps == (4, 3)
    return made


def sizes(made: IncrementalMapper) -> tuple[int, int]:
    whole = made.snapshot()
    assert whole is not None
    return len(whole.cloud), len(whole.gaussians)


def test_an_empty_box_changes_nothing(mapper: IncrementalMapper) -> None:
    before, files = sizes(mapper), {f: f.stat().st_mtime_ns for f in (mapper._scratch or Path()).iterdir()}
    assert before[1] > 1.5 * mapper.config.splatting.max_gaussians
    assert mapper.clear_box(*EMPTY) == 0
    assert sizes(mapper) == before
    assert {f: f.stat().st_mtime_ns for f in files} == files  # none of them was even read and written
    assert mapper.submaps == (4, 3)


def test_a_box_is_cleared_on_disk_where_it_lies_after_a_correction(mapper: IncrementalMapper) -> None:
    before = mapper.snapshot()
    assert before is not None
    lift = turn(0, 0, 5.0, 0)
    mapper.correct({"1": lift @ before.keyframes[1].camera.world_from_camera})  # which rests
    low, high = np.array([9.0, 4.0, 1.5]), np.array([11.0, 6.0, 2.5])
    here = mapper.snapshot()
    assert here is not None
    counts = [Box.of(low, high, None).inside(m).sum() for m in (here.cloud.points, here.gaussians.means)]
    far = len(mapper.far())
    assert mapper.clear_box(low, high) == sum(counts) > 500
    after = sizes(mapper)
    assert after == (len(here.cloud) - counts[0], len(here.gaussians) - counts[1])
    assert len(mapper.far()) < far  # planners see it, too
    mapper.add(keyframe("back", 10.0))
    back = mapper.snapshot()
    assert back is not None
    assert not Box.of(low, high, None).inside(back.cloud.points).any()
    assert mapper.refine(0.1) is not None


def test_where_nothing_is_left_the_map_is_empty_and_what_rests_stays(
    mapper: IncrementalMapper, tmp_path: Path
) -> None:
    whole, near = mapper.snapshot(), mapper.snapshot(whole=False)
    assert whole is not None and near is not None
    mapper.clear_box(np.array([24.0, -90, -90]), np.array([90.0, 90, 90]))  # all that is near
    here, left = mapper.snapshot(whole=False), mapper.snapshot()
    assert here is not None and left is not None
    assert len(here.gaussians) == len(here.cloud) == 0
    assert len(left.gaussians) == len(whole.gaussians) - len(near.gaussians) > 3000
    assert render_view(here.gaussians, near.keyframes[0].camera)[2].max() == 0
    mapper.clear_box(np.full(3, -90.0), np.full(3, 90.0))
    nothing = mapper.snapshot()
    assert nothing is not None and len(nothing.gaussians) == len(nothing.cloud) == 0
    save(nothing, tmp_path / "saved", mapper.config)
    mapper.load(load(tmp_path / "saved"))
    mapper.add(keyframe("new", 0.0))
    assert sizes(mapper)[1] > 1000


def test_a_loaded_map_above_the_cap_stays_whole(
    mapper: IncrementalMapper, caplog: pytest.LogCaptureFixture
) -> None:
    saved = mapper.snapshot()
    assert saved is not None
    again = IncrementalMapper(mapper.config)
    again.load(saved)
    assert f"the map that is loaded has {len(saved.gaussians)} Gaussians" in caplog.text
    assert sizes(again) == (len(saved.cloud), len(saved.gaussians))
    again.add(keyframe("new", 60.0))
    assert sizes(again)[1] > len(saved.gaussians) + 1000
    assert "thinned out" not in caplog.text


def test_what_the_cap_takes_is_said(mapper: IncrementalMapper, caplog: pytest.LogCaptureFixture) -> None:
    mapper.add(keyframe("beside", 34.0))
    near = mapper.snapshot(whole=False)
    assert near is not None
    assert f"above the cap of 3500: thinned out to {len(near.gaussians)}" in caplog.text


def test_a_full_disk_leaves_the_submap_as_it_was(mapper: IncrementalMapper, tmp_path: Path) -> None:
    before = sizes(mapper)
    (tmp_path / "submaps" / "000001.part").mkdir()  # nothing can be written there
    with pytest.raises(MapError, match="submap 1 cannot be put to disk"):
        mapper.clear_box(np.array([-1.0, -1, 1]), np.array([1.0, 1, 3]))
    assert sizes(mapper) == before


points = st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=1, max_size=20)


@settings(deadline=None)
@given(points, st.tuples(*[st.floats(-4, 4)] * 3), st.floats(0.1, 3), st.floats(-180, 180))
def test_a_box_that_holds_a_point_meets_the_corners_round_all(
    cloud: list[tuple[float, float, float]], middle: tuple[float, ...], size: float, degrees: float
) -> None:
    pose = turn(degrees, *middle)
    box = Box.of(np.full(3, -size), np.full(3, size), pose)
    positions = np.array(cloud)
    local = (positions - pose[:3, 3]) @ pose[:3, :3]
    inside = box.inside(positions)
    np.testing.assert_array_equal(inside, (np.abs(local) <= size).all(axis=1))
    axes = np.stack([positions.min(axis=0), positions.max(axis=0)], axis=1)
    corners = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    assert box.meets(corners) or not inside.any()
    assert not box.meets(corners + 40)
    assert not box.meets(np.empty((0, 3)))
