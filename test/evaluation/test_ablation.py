"""The ablation on a simulated recording, with a tiny model of random weights: its figures and its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from reconx_ros.config import ReconxConfig, changed, load_config
from reconx_ros.errors import ConfigError
from reconx_ros.evaluation.ablation import FILE, PICTURE, Remembered, ablate
from reconx_ros.evaluation.protocol import evaluate
from reconx_ros.evaluation.rungs import FULL, GROUND, applied, ladder, rungs
from reconx_ros.geometry.rgbd import RgbdGeometry
from reconx_ros.keyframes.keyframe import Keyframe
from reconx_ros.progress import Silent

FEW = (GROUND, "+ synthesis", FULL, "- model")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ReconxConfig:
    from reconx_ros.diffusion import reliability
    from reconx_ros.diffusion.small.export import export
    from reconx_ros.diffusion.small.model import SmallModel
    from reconx_ros.diffusion.small.names import CURVES
    from reconx_ros.diffusion.small.points import PointEncoder

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    model = SmallModel(widths=(8, 16, 16, 16), structure_width=32)
    export(model, PointEncoder(tokens=16, width=32, heads=2, points=200), folder)
    curve = reliability.Reliability((0.0, 1.0), (0.9, 0.1))
    reliability.save({"small": curve, "push-pull": curve}, folder / CURVES)
    small = {"weights": folder, "width": 64, "bf16": False}
    synthesis = {"frames": 3, "small": small, "trust": {"keyframes": 1}}
    splatting = {"steps": 12, "max_gaussians": 4000, "sh_degree": 0}
    return load_config("fast", None, {"synthesis": synthesis, "splatting": splatting})


@pytest.fixture(scope="module")
def found(
    small_bag: Path, config: ReconxConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    output = tmp_path_factory.mktemp("ablation") / "made"
    return ablate(small_bag, config, "2", "4,8", output, image_width=80, only=FEW), output


def test_every_rung_is_measured_and_compared(found: tuple[dict[str, Any], Path]) -> None:
    figures, output = found
    assert json.loads((output / FILE).read_text()) == figures
    assert cv2.imread(str(output / PICTURE)).std() > 0
    assert [row["name"] for row in figures["rungs"]] == list(FEW)
    assert not figures["partial"]
    rows = {row["name"]: row for row in figures["rungs"]}
    assert rows[GROUND]["synthesizer"] == "none"
    assert rows["+ synthesis"]["synthesizer"] == "small"
    assert rows["- model"]["synthesizer"] == "push-pull"
    assert rows[GROUND]["generated_frames"] == 0 < rows["- model"]["generated_frames"]
    for row in rows.values():
        other = rows[row["against"]]
        for region in ("psnr", "psnr_covered", "psnr_uncovered"):
            each = [a[region] - b[region] for a, b in zip(row["views"], other["views"], strict=True)]
            difference = row["difference"][region]
            assert difference["mean"] == pytest.approx(np.mean(each))
            assert min(each) - 1e-9 <= difference["low"] <= difference["high"] <= max(each) + 1e-9
    assert rows[FULL]["difference"]["psnr"]["mean"] != 0


def test_the_ground_is_what_evaluate_measures(
    found: tuple[dict[str, Any], Path], small_bag: Path, config: ReconxConfig, tmp_path: Path
) -> None:
    """The remembered geometry and the shared masks change nothing."""
    plain = changed(config, {"synthesis": {"method": "none"}})
    metrics = evaluate(small_bag, plain, "2", "4,8", tmp_path, image_width=80)
    mean = found[0]["rungs"][0]["mean"]
    assert metrics["mean"].keys() == mean.keys()
    for name, value in metrics["mean"].items():
        assert mean[name] == pytest.approx(value, rel=1e-3), name


def test_stopping_keeps_the_rungs_that_are_done(
    small_bag: Path, config: ReconxConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class UntilSecond(Silent):
        stages: list[str]

        def __init__(self) -> None:
            self.stages = []

        def update(self, stage: str, done: int, total: int, note: str = "") -> None:
            self.stages.append(stage)

        def cancelled(self) -> bool:
            return "ablate" in self.stages and self.stages[-1] != "ablate"

    figures = ablate(small_bag, config, "2", "4,8", tmp_path, UntilSecond(), 80, FEW)
    assert figures["partial"]
    assert [row["name"] for row in figures["rungs"]] == [GROUND]
    assert json.loads((tmp_path / FILE).read_text()) == figures
    assert (tmp_path / PICTURE).is_file()
    assert GROUND in capsys.readouterr().out


def test_stopping_at_once_writes_a_file_without_rungs(
    small_bag: Path, config: ReconxConfig, tmp_path: Path
) -> None:
    class Stopped(Silent):
        def cancelled(self) -> bool:
            return True

    assert ablate(small_bag, config, "2", "4,8", tmp_path, Stopped(), 80, FEW)["rungs"] == []
    assert json.loads((tmp_path / FILE).read_text())["partial"]


def test_nothing_to_take_away_is_one_line(small_bag: Path, config: ReconxConfig, tmp_path: Path) -> None:
    for change in ({"method": "none"}, {"frames": 0}):
        with pytest.raises(ConfigError, match="--ablate needs a synthesizer"):
            ablate(small_bag, changed(config, {"synthesis": change}), "2", "4,8", tmp_path)
    assert not list(tmp_path.iterdir())


def test_each_rung_differs_from_the_full_method_in_its_part_alone() -> None:
    config = load_config("fast")
    found = rungs(config)
    assert len({rung.name for rung in found}) == len(found) == len({rung.what for rung in found})
    assert {rung.against for rung in found} == {GROUND, FULL}
    whole = config.model_dump()
    for rung in found:
        own = applied(rung, config).model_dump()
        assert own["geometry"] == whole["geometry"]
        assert own["splatting"]["seed"] == whole["splatting"]["seed"]
        assert (own == whole) == (rung.name == FULL)
    assert len({applied(rung, config).model_dump_json() for rung in found}) == len(found)


def test_the_ladder_asks_whoever_is_configured() -> None:
    config = changed(load_config("fast"), {"synthesis": {"method": "push-pull"}})
    methods = {applied(rung, config).synthesis.method for rung in rungs(config)}
    assert methods == {"none", "push-pull"}
    assert [rung.change for rung in ladder("small")][-1] == {}


@pytest.mark.parametrize(
    ("method", "weights", "has"),
    [("small", None, True), ("push-pull", None, False), ("wan-vace", None, False), ("wan-vace", "w", True)],
)
def test_structure_is_taken_from_who_has_a_branch_for_it(
    method: str, weights: str | None, has: bool
) -> None:
    change = {"synthesis": {"method": method, "wan": {"structure": weights}}}
    config = changed(load_config("fast"), change)
    found = {rung.name: applied(rung, config) for rung in rungs(config)}
    assert ("+ structure" in found, "- structure" in found) == (has, has)
    if has:
        without, full = found["- structure"].synthesis, found[FULL].synthesis
        assert (without.small.structure_guidance, without.wan.structure_guidance) == (0, 0)
        assert full.wan.structure_guidance is None


def test_a_room_is_asked_once(plane_view: Callable[..., Keyframe]) -> None:
    views = [plane_view(), plane_view(x=0.1)]
    room = Remembered(RgbdGeometry(load_config("fast").geometry.rgbd))
    first = room.estimate(views, Silent())
    assert room.estimate(views, Silent()) is first
    assert len(first.pointmaps) == 2
