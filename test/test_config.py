"""The configuration: presets load, layers override, errors name the value."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconx_ros.config import PRESETS, dump_config, load_config
from reconx_ros.errors import ConfigError


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_load_and_come_back_from_yaml(tmp_path: Path, preset: str) -> None:
    config = load_config(preset)
    (tmp_path / "used.yaml").write_text(dump_config(config))
    assert load_config("fast", tmp_path / "used.yaml") == config


def test_the_file_wins_over_the_preset_and_overrides_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("splatting: {steps: 7, sh_degree: 3}")
    config = load_config("fast", tmp_path / "mine.yaml", {"splatting": {"steps": 9}})
    assert config.splatting.steps == 9
    assert config.splatting.sh_degree == 3
    assert config.splatting.max_gaussians == load_config("fast").splatting.max_gaussians


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("splatting: {step: 5}", r"splatting\.step = 5: Extra inputs are not permitted"),
        ("splatting: {steps: -1}", r"splatting\.steps = -1: .*greater than or equal to 0"),
        ("geometry: {rgbd: {max_depth: far}}", r"geometry\.rgbd\.max_depth = 'far': .*valid number"),
        ("splatting: {rates: {means: .inf}}", r"splatting\.rates\.means = inf: .*finite number"),
        ("- a\n- b", "must be a mapping of sections, not list"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_config("balanced", tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value)


def test_a_bad_section_is_told_though_an_override_replaces_it(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("splatting: 5")
    with pytest.raises(ConfigError, match="splatting = 5"):
        load_config("fast", tmp_path / "bad.yaml", {"splatting": {"steps": 9}})


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'best' is unknown; choose one of fast, balanced, quality"):
        load_config("best")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=80))
def test_any_file_loads_or_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.yaml").write_bytes(data)
    try:
        load_config("fast", tmp_path / "any.yaml")
    except ConfigError as err:
        assert "\n" not in str(err)


def test_one_frame_is_no_clip() -> None:
    with pytest.raises(ConfigError, match="two ends"):
        load_config("fast", None, {"synthesis": {"frames": 1}})
