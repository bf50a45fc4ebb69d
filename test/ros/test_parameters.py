"""Parameters: described, ranged, checked, and equal to the YAML file that is shipped."""

from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from reconx_ros.errors import ConfigError
from reconx_ros.ros.parameters import SPECS, declare, read

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


def test_the_shipped_file_states_every_default(node: Node) -> None:
    content = yaml.safe_load((ROOT / "config" / "reconx.yaml").read_text())
    assert content["/**"]["ros__parameters"] == {spec.name: spec.default for spec in SPECS}


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
