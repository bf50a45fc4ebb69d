"""The live map from posed colour images: views that wait, come back, and rest on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from reconx_ros.config import load_config
from reconx_ros.geometry.protocol import GeometryEstimate
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.progress import Progress
from reconx_ros.splatting.view import TrainingView
from test.geometry.stereo.conftest import Room, look_from

ROOM = Room(0.3)


def colour(name: str, centre: Sequence[float], turn: float = 0.0, room: Room = ROOM) -> Keyframe:
    """A view without depth of a wall 2 m off."""
    return replace(room.view(look_from(centre, 160, 120, turn), name), depth=None)


def live(mapping: Mapping[str, float]) -> IncrementalMapper:
    """A live map from colour."""
    settings = {
        "geometry": {"method": "plane-sweep", "plane_sweep": {"max_width": 120}},
        "mapping": mapping,
        "synthesis": {"method": "none"},
        "splatting": {"steps": 20},
    }
    return IncrementalMapper(load_config("fast", None, settings))


def names(mapper: IncrementalMapper) -> list[str]:
    """The keyframes of the map."""
    result = mapper.snapshot()
    return [] if result is None else [keyframe.name for keyframe in result.keyframes]


def test_a_waiting_view_that_is_seen_again_gives_way() -> None:
    mapper = live({"rejoin_path": 1.0})
    mapper.add(colour("first", (0, 0, 0)))  # alone: it waits
    mapper.add(colour("away", (0, 0, 0), turn=3.0))  # shows nothing of the wall
    mapper.add(colour("back", (0, 0, -1.2), turn=3.1))  # 1.2 m of path later
    assert mapper.add(colour("again", (0.15, 0, 0))).known.any()  # finds depth for the first, replaces it
    assert "first" not in names(mapper)
    assert mapper.add(colour("later", (-0.15, 0.1, 0))).known.any()
    result = mapper.snapshot()
    assert result is not None
    assert {"again", "later"} <= {keyframe.name for keyframe in result.keyframes}
    assert abs(np.median(result.cloud.points[:, 2]) - 2) < 0.1


def test_a_waiting_view_rests_on_disk_and_is_delivered_when_it_is_back() -> None:
    mapper = live({"active_radius": 5.0, "submap_radius": 1.0, "rejoin_path": 100.0})
    mapper.add(colour("alone", (0, 0, 0)))
    mapper.add(colour("far", (0, 0, -30)))
    assert mapper.submaps == (2, 1)
    back = mapper.add(colour("back", (1.1, 0, 0), turn=-0.3))
    assert not back.known.any()  # "alone" was on disk until this view had its place
    assert mapper.add(colour("beside", (0.2, 0.1, 0))).known.any()
    result = mapper.snapshot(whole=False)
    assert result is not None
    assert {"alone", "back", "beside"} <= {keyframe.name for keyframe in result.keyframes}
    assert result.cloud.views.max() > 1


def test_odds_are_averaged_over_views_also_after_loading() -> None:
    """A view merged twice says nothing new: where it alone saw something, confidence stays."""
    mapper, other = live({}), live({})
    mapper.add(colour("first", (0, 0, 0)))
    second = colour("second", (0.2, 0, 0))
    pointmap = mapper.add(second)
    saved = mapper.snapshot()
    assert saved is not None
    other.load(saved)
    other._near.fusion.merge(second, pointmap)
    result = other.snapshot()
    assert result is not None
    assert result.report["geometry"] == "plane-sweep"
    alone = (saved.cloud.views == 1) & (result.cloud.views == 2)
    assert alone.any()
    np.testing.assert_allclose(result.cloud.confidence[alone], saved.cloud.confidence[alone], rtol=1e-4)


def test_views_that_come_back_from_disk_teach_with_the_cameras_their_depth_was_made_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapper = live({"active_radius": 5.0, "submap_radius": 1.0, "rejoin_path": 100.0})
    for name, centre in (("a", (0, 0, 0)), ("b", (0.2, 0, 0)), ("c", (0.1, 0.2, 0)), ("far", (0, 0, -30))):
        mapper.add(colour(name, centre))
    assert mapper.submaps == (2, 1)
    room, made = mapper._rooms.choose(mapper._near.keyframes), {}
    estimate = room.estimate

    def remembering(
        keyframes: Sequence[Keyframe], progress: Progress, only: Sequence[int] | None = None
    ) -> GeometryEstimate:
        found = estimate(keyframes, progress, only)
        made.update((keyframe.name, keyframe.camera) for keyframe in found.keyframes)
        return found

    monkeypatch.setattr(room, "estimate", remembering)
    taught: dict[str, list[TrainingView]] = {}
    monkeypatch.setattr(mapper._near.gaussians, "add_views", taught.__setitem__)
    mapper.add(colour("d", (0.3, 0.2, 0)))
    result = mapper.snapshot(whole=False)
    assert result is not None
    back = [keyframe for keyframe in result.keyframes if keyframe.name in "abc"]
    assert len(back) == 3
    for keyframe in back:
        assert taught[keyframe.name][0].camera is made[keyframe.name] is keyframe.camera
