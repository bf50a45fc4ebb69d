"""What depth maps say of each other, and what they cannot."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm

from reconx_ros.geometry.config import PlaneSweepConfig
from reconx_ros.geometry.protocol import PointMap, map_confidence
from reconx_ros.geometry.stereo.depth_map import DepthMap
from reconx_ros.geometry.stereo.evidence import RIGHT, WEIGHTS, gather
from reconx_ros.geometry.stereo.pointmap import make_pointmap
from reconx_ros.geometry.stereo.room import PlaneSweepGeometry
from reconx_ros.geometry.stereo.survey import view_key
from reconx_ros.progress import Silent
from test.geometry.stereo.conftest import Room, look_from

PLACES = ((0, 0, 0), (0.4, 0, 0), (0.1, 0.35, 0))
LEAST = 0.1
OFF = 0.02
"""Deviation of a position, in world units: 7 percent of the first baseline, of the difference."""


@pytest.fixture(scope="module")
def maps() -> list[DepthMap]:
    """Depth maps of three views of a wall whose poses are exact."""
    room = Room(0.3)
    views = [room.view(look_from(place), str(i)) for i, place in enumerate(PLACES)]
    geometry = PlaneSweepGeometry(PlaneSweepConfig(max_width=120), metric=False)
    geometry.estimate(views, Silent())
    return [geometry._known[view_key(view)] for view in geometry._survey.views]


def pointmap(maps: Sequence[DepthMap], translation: float, least: float = LEAST) -> PointMap:
    return make_pointmap(maps[0], maps[1:], maps[0].camera, least, translation=translation)


def test_two_views_alone_are_as_unsure_as_their_baseline(maps: list[DepthMap]) -> None:
    """Logits differ by the weight of the share of an error that is less than ``RIGHT``."""
    exact, rough = pointmap(maps[:2], 0.0), pointmap(maps[:2], OFF)
    assert np.array_equal(exact.known, rough.known)
    own = gather(maps[0], maps[1:2]).deviation[exact.known]
    wider = np.hypot(own, np.sqrt(2) * OFF / 0.4)
    share = [2 * norm.cdf(RIGHT / deviation) - 1 for deviation in (own, wider)]
    said = [logit(map_confidence(p.confidence[exact.known]).astype(float)) for p in (exact, rough)]
    free = map_confidence(exact.confidence[exact.known]) < 0.979  # not held by MOST
    assert free.mean() > 0.5
    change = WEIGHTS["exact"] * (share[1] - share[0])
    assert np.abs(change).max() > 0.1
    np.testing.assert_allclose((said[1] - said[0])[free], change[free], atol=1e-3)


def test_a_third_view_knows_better(maps: list[DepthMap]) -> None:
    exact, rough = pointmap(maps, 0.0), pointmap(maps, OFF)
    assert np.array_equal(exact.confidence, rough.confidence)
    assert exact.deviation == rough.deviation


def test_a_third_that_found_nothing_does_not(maps: list[DepthMap]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.uniform(1, 4, maps[2].depth.shape).astype(np.float32)
    lost = DepthMap(maps[2].camera, noise, maps[2].shift, maps[2].cost, maps[2].margin)
    three = [*maps[:2], lost]
    exact, rough = (map_confidence(pointmap(three, off).confidence) for off in (0.0, OFF))
    known = exact > 0.2
    assert known.mean() > 0.3
    assert (rough < exact)[known].all()


def test_however_unsure_nothing_is_left_out_for_it(maps: list[DepthMap]) -> None:
    exact, rough = pointmap(maps[:2], 0.0, 0.5), pointmap(maps[:2], 10.0, 0.5)
    assert np.array_equal(exact.known, rough.known)
    assert (rough.confidence[rough.known] == 2).all()
    assert (exact.confidence[exact.known] > 4).mean() > 0.5
