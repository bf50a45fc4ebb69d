import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconx_ros.errors import ConfigError
from reconx_ros.evaluation.hold_out import choose_inputs, parse_hold_out, parse_inputs


def test_every_eighth_frame_counts_from_zero() -> None:
    assert parse_hold_out("every:8").indices(20) == [0, 8, 16]
    assert parse_hold_out("every:8+4").indices(20) == [4, 12]


def test_listed_frames_are_sorted_and_unique() -> None:
    assert parse_hold_out("10, 3,3").indices(11) == [3, 10]


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "every",
        "every:",
        "every:0",
        "every:1",
        "every:8+8",
        "every:-2",
        "3,",
        ",3",
        "3;4",
        "-1",
        "1.5",
        "٣",
    ],
)
def test_bad_rules_are_named(spec: str) -> None:
    with pytest.raises(ConfigError, match="--hold-out") as caught:
        parse_hold_out(spec)
    assert f"'{spec}'" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_a_rule_or_a_config_error(text: str) -> None:
    try:
        rule = parse_hold_out(text)
    except ConfigError:
        return
    assert rule.every >= 2 or rule.frames


def test_frames_beyond_the_source_are_named() -> None:
    with pytest.raises(ConfigError, match="frame 12, but the source has frames 0 to 9"):
        parse_hold_out("3,12").indices(10)


@pytest.mark.parametrize(("spec", "count"), [("every:8", 1), ("0,1", 2), ("every:8", 0), ("every:8+4", 3)])
def test_neither_side_may_be_empty(spec: str, count: int) -> None:
    with pytest.raises(ConfigError, match="some must be on each side"):
        parse_hold_out(spec).indices(count)


@given(st.integers(2, 30), st.integers(2, 500))
def test_held_out_frames_and_inputs_never_meet(every: int, count: int) -> None:
    held = parse_hold_out(f"every:{every}").indices(count)
    rest = [i for i in range(count) if i not in held]
    chosen = choose_inputs(rest, min(8, len(rest)))
    assert not set(chosen) & set(held)
    assert len(set(chosen)) == min(8, len(rest))
    assert chosen == sorted(chosen)
    assert np.array_equal(held, np.arange(0, count, every))


def test_inputs_are_evenly_spaced_ends_included() -> None:
    assert choose_inputs(range(1, 72), 8) == [1, 11, 21, 31, 41, 51, 61, 71]
    assert choose_inputs([4, 5, 9], None) == [4, 5, 9]


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(ConfigError, match="--inputs 9 is more than the 3 frames not held out"):
        choose_inputs([1, 2, 3], 9)


@pytest.mark.parametrize("text", ["0", "-3", "some", "", "3.5", "8,9"])
def test_bad_numbers_of_inputs_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--inputs '{text}'"):
        parse_inputs(text)


def test_inputs_are_a_number_or_all() -> None:
    assert parse_inputs("8") == 8
    assert parse_inputs("all") is None
