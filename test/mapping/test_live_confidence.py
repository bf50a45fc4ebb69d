"""Confidence in long sessions: what was seen stays seen, and nothing counts twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_submaps import FAST, keyframe

from reconx_ros.config import load_config
from reconx_ros.geometry.protocol import OBSERVED
from reconx_ros.mapping.folder import load, save
from reconx_ros.mapping.incremental import IncrementalMapper
from reconx_ros.mapping.reconstruction import Reconstruction
from reconx_ros.splatting.evidence import map_confidences


def mapper(**mapping: float) -> IncrementalMapper:
    """Without exposures: those of a view start anew when it is back."""
    splatting = FAST["splatting"] | {"exposure": False}
    return IncrementalMapper(load_config("fast", None, {"splatting": splatting, "mapping": mapping}))


def whole(made: IncrementalMapper) -> Reconstruction:
    result = made.snapshot()
    assert result is not None
    return result


def confidence(made: IncrementalMapper, low: float, high: float) -> np.ndarray:
    """Confidence of the observed Gaussians with x between ``low`` and ``high`` metres, ascending."""
    gaussians = whole(made).gaussians
    x = gaussians.means[:, 0]
    mine = (x > low) & (x < high) & (gaussians.provenance == OBSERVED)
    return np.sort(gaussians.confidence[mine])


def mapped(*places: float, **mapping: float) -> IncrementalMapper:
    made = mapper(**mapping)
    for index, x in enumerate(places):
        made.add(keyframe(str(index), x))
    return made


def test_a_loaded_map_keeps_the_confidence_of_what_nobody_looks_at(tmp_path: Path) -> None:
    made = mapped(0.0, 0.2)
    made.refine(0.3)
    saved = whole(made)
    before = confidence(made, -1.0, 1.0)
    assert np.median(before) > 0.5
    again = mapper()
    again.load(load(save(saved, tmp_path / "map", made.config)))
    np.testing.assert_allclose(confidence(again, -1.0, 1.0), before, atol=1e-3)
    again.add(keyframe("far", 20.0))
    np.testing.assert_allclose(confidence(again, -1.0, 1.0), before, atol=1e-3)
    assert np.median(confidence(again, 19.0, 21.0)) > 0.5


def test_a_loaded_map_becomes_more_certain_where_it_is_seen_again(tmp_path: Path) -> None:
    made = mapped(0.0)
    made.refine(0.3)
    before = confidence(made, -1.0, 1.0)
    again = mapper()
    again.load(load(save(whole(made), tmp_path / "map", made.config)))
    again.add(keyframe("0", 0.0))
    assert confidence(again, -1.0, 1.0).mean() > before.mean() + 0.02


def test_a_map_of_an_earlier_version_loads_with_its_confidence_and_keeps_it() -> None:
    made = mapped(0.0, 0.2)
    before = confidence(made, -1.0, 1.0)
    again = mapper()
    again.load(replace(whole(made), evidence=None))
    again.add(keyframe("far", 20.0))
    np.testing.assert_allclose(confidence(again, -1.0, 1.0), before, atol=1e-3)


def test_a_view_that_is_replaced_leaves_what_it_saw_as_certain_as_it_was() -> None:
    made = mapped(0.0, 0.2)
    made.refine(0.3)
    before = confidence(made, -1.0, 1.0)
    made._near.gaussians.forget_views(["0", "1"])
    np.testing.assert_allclose(confidence(made, -1.0, 1.0), before, atol=1e-3)


def test_rest_and_wake_do_not_inflate_confidence() -> None:
    made = mapped(0.0, 1.5, submap_radius=1.0, active_radius=6.0)  # the two see some of the same
    made.refine(0.3)
    first = confidence(made, -1.0, 3.0)
    assert np.median(first) < 0.995
    for lap in range(2):
        made.add(keyframe(f"far {lap}", 40.0 + lap))
        assert made.submaps[1] >= 2
        np.testing.assert_allclose(confidence(made, -1.0, 3.0), first, atol=1e-3)
        made.add(keyframe(f"near {lap}", 5.0))  # which sees none of it
        assert {"0", "1"} <= {k.name for k in whole(made).keyframes}
        np.testing.assert_allclose(confidence(made, -1.0, 3.0), first, atol=1e-3)


def test_evidence_of_one_who_was_away_counts_once() -> None:
    """By hand: two views give 0.3 and 0.4; the first rests, comes back, and then leaves for good."""
    from reconx_ros.splatting.evidence import Evidence

    first, second = np.float32([0.3]), np.float32([0.4])
    evidence = Evidence.of_points(np.float32([0.6])).resting(first + second)
    assert evidence.total(second) == pytest.approx(0.7)
    assert evidence.total(first + second) == pytest.approx(0.7)
    evidence = evidence.without(first)
    assert evidence.total(second) == pytest.approx(0.7)
    assert evidence.total(second + np.float32([0.2])) == pytest.approx(0.9)
    closed = evidence.closed(second)
    assert closed.total(np.zeros(1, np.float32)) == pytest.approx(0.7)
    old = Evidence.of_map(np.float32([0.0, 0.1, 0.8, 1.0]))
    found = map_confidences(old.point, old.total(np.ones(4, np.float32)))
    np.testing.assert_allclose(found, [0.0, 0.1, 0.8, 1.0], atol=1e-5)


def test_the_report_counts_what_was_pruned() -> None:
    made = mapped(0.0)
    report = whole(made).report
    assert set(report["pruned"]) == {"transparent", "needles", "floaters"}
    assert made._near.gaussians.optimiser is not None
    made._near.gaussians.optimiser._state.parameters.opacity_logits.data[:5] = -9.0
    made.add(keyframe("1", 0.1))
    assert whole(made).report["pruned"]["transparent"] >= 5
