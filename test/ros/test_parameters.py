"""Parameters: described, ranged, checked, and equal to the YAML file that is shipped."""

import re
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from reconx_ros.config import load_config
from reconx_ros.errors import ConfigError
from reconx_ros.ros import parameters
from reconx_ros.ros.declaring import unknown
from reconx_ros.ros.parameter_specs import SPECS, WORKER_SPECS
from reconx_ros.ros.parameters import declare, read
from reconx_ros.ros.worker_node import WorkerNode

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def node(ros: Any) -> Any:  # noqa: ANN401
    made = Node("parameters")
    declare(made)
    yield made
    made.destroy_node()


def test_every_parameter_has_a_description_and_every_number_a_range(node: Node) -> None:
    for spec in SPECS:
        descriptor = node.describe_parameter(spec.name)
        assert descriptor.description.endswith("."), spec.name
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            limits = [*descriptor.floating_point_range, *descriptor.integer_range]
            assert len(limits) == 1, spec.name
            assert limits[0].from_value <= spec.default <= limits[0].to_value


def test_the_worker_describes_its_parameters_and_refuses_to_change_them_live(context: None) -> None:
    worker = WorkerNode()
    try:
        for spec in WORKER_SPECS:
            descriptor = worker.describe_parameter(spec.name)
            assert descriptor.description.endswith(".") and descriptor.read_only
        (answer,) = worker.set_parameters([Parameter("link_bandwidth", value=5.0)])
        assert not answer.successful
    finally:
        worker.finish()
        worker.destroy_node()


def test_the_shipped_file_states_every_default(node: Node) -> None:
    content = yaml.safe_load((ROOT / "config" / "reconx.yaml").read_text())
    assert content["/**"]["ros__parameters"] == {spec.name: spec.default for spec in SPECS}


def test_a_run_without_an_output_has_one_folder_whenever_it_is_asked_for(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = (Path(f"/maps/{second}") for second in range(9))
    monkeypatch.setattr(parameters, "run_folder", lambda: next(seconds))
    first, second = read(node), read(node)
    assert [first.output_folder, first.output_folder, second.output_folder] == [
        Path("/maps/0"),
        Path("/maps/0"),
        Path("/maps/1"),
    ]


def test_frames_as_in_ros_1_lose_their_slash(ros: Any) -> None:  # noqa: ANN401
    made = Node("slashed", parameter_overrides=[Parameter("map_frame", value="/map")])
    declare(made)
    assert read(made).map_frame == "map"
    made.destroy_node()


def test_live_changes_are_checked_with_a_reason(node: Node) -> None:
    def change(name: str, value: object) -> Any:  # noqa: ANN401
        return node.set_parameters([Parameter(name, value=value)])[0]

    assert change("min_confidence", 0.5).successful
    assert not change("min_confidence", 1.5).successful
    assert "1.5" in change("min_confidence", 1.5).reason
    assert "read-only" in change("map_frame", "world").reason
    assert not change("min_confidence", "much").successful


def test_a_word_that_is_no_choice_is_named(ros: Any) -> None:  # noqa: ANN401
    made = Node(
        "bad", parameter_overrides=[Parameter("pose_source", value="gps")]
    )  # as --ros-args -p pose_source:=gps
    try:
        with pytest.raises((ConfigError, rclpy.exceptions.InvalidParameterValueException), match="gps"):
            declare(made)
            read(made)
    finally:
        made.destroy_node()


def given(*words: str) -> Node:
    return Node("given", cli_args=["--ros-args", *(part for word in words for part in ("-p", word))])


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("slop:=abc", "slop = 'abc': a number is needed"),
        ("min_keyframes:=2.5", "min_keyframes = 2.5: a whole number is needed"),
        ("journal:=3", "journal = 3: true or false is needed"),
        ("output:=7", "output = 7: text is needed"),
        ("slop:=7.0", "slop = 7.0 is out of range; from 0 to 1 is possible"),
        ("min_keyframes:=0", "min_keyframes = 0 is out of range; from 1 to 100 is possible"),
        ("pose_source:=gps", "pose_source = 'gps' is unknown; choose one of auto, tf, odom"),
        ("map_frame:=''", "map_frame = '': a frame has a name, such as 'map'"),
        ("odom_frame:=/", "odom_frame = '/': a frame has a name, such as 'odom'"),
        ("grid_min_height:=2.0", "grid_min_height = 2 must be below grid_max_height = 1.8: obstacles are"),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_line(ros: Any, word: str, line: str) -> None:  # noqa: ANN401
    made = given(word)
    try:
        with pytest.raises(ConfigError, match=re.escape(line)):
            declare(made)
            read(made)
    finally:
        made.destroy_node()


def test_a_whole_number_is_a_number_and_unknown_names_are_found(ros: Any) -> None:  # noqa: ANN401
    words = (
        "slop:=1",
        "cameras:=left",
        "left.slop:=0",
        "slopp:=2",
        "right.slop:=0.5",
        "use_sim_time:=true",
    )
    made = given(*words)
    try:
        declare(made)
        assert (read(made).slop, read(made).of_camera("left").slop) == (1.0, 0.0)
        assert unknown(made) == ["slopp", "right.slop"]
    finally:
        made.destroy_node()


def test_parameters_win_over_stage_settings(ros: Any) -> None:  # noqa: ANN401
    made = given("distance_field:=0.1", "synthesizer:=none")
    try:
        declare(made)
        config = load_config("fast", None, read(made).overrides)
        assert config.mapping.distance_field.voxel_size == 0.1
        assert config.synthesis.method == "none"
    finally:
        made.destroy_node()


def test_a_distance_field_round_the_robot_needs_voxels(ros: Any) -> None:  # noqa: ANN401
    made = given("distance_field:=0.1", "distance_field_radius:=4", "distance_field_height:=1")
    lacking = given("distance_field_radius:=4.0")
    try:
        declare(made)
        field = load_config("fast", None, read(made).overrides).mapping.distance_field
        assert (field.voxel_size, field.live_radius, field.live_height) == (0.1, 4.0, 1.0)
        declare(lacking)
        with pytest.raises(ConfigError, match="needs a voxel_size above 0"):
            load_config("fast", None, read(lacking).overrides)
    finally:
        made.destroy_node()
        lacking.destroy_node()
