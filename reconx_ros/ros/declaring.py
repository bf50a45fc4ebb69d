"""Declaring parameters: with descriptions and ranges, values given taken over, misspelt ones named."""

import difflib
from collections.abc import Iterable, Sequence

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from reconx_ros.errors import ConfigError
from reconx_ros.ros.parameter_specs import Spec, Value

KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
"""What a user calls the types of parameters."""


def declare(node: Node, specs: Iterable[Spec]) -> None:
    """Declare parameters; values of the command line and YAML files are taken over.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """
    for spec in specs:
        declare_one(node, spec.name, spec.default, spec)


def declare_one(node: Node, name: str, default: Value, spec: Spec) -> None:
    """Declare a parameter that is like ``spec``; a whole number given for one with a point is as good.

    Raises:
        ConfigError: the value given has the wrong type or is out of range.
    """
    given = _given(node)
    if isinstance(default, float) and name in given and given[name].type_ is Parameter.Type.INTEGER:
        given[name] = Parameter(name, value=float(given[name].value))
    try:
        node.declare_parameter(name, default, _descriptor(spec))
    except InvalidParameterTypeException as err:
        raise ConfigError(
            f"parameter {name} = {given[name].value!r}: {KINDS[type(default)]} is needed"
        ) from err
    except InvalidParameterValueException as err:
        reach = f"; from {spec.low:g} to {spec.high:g} is possible"
        raise ConfigError(f"parameter {name} = {given[name].value!r} is out of range{reach}") from err


def warn_of_unknown(node: Node, specs: Iterable[Spec]) -> None:
    """Name the parameters somebody gave that the node does not have, and what may have been meant."""
    for name in unknown(node):
        near = difflib.get_close_matches(name, [spec.name for spec in specs], 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        node.get_logger().warning(f"parameter '{name}' is unknown and ignored{meant}")


def unknown(node: Node) -> list[str]:
    """Return the parameters somebody gave that no node has."""
    given = (name for name in _given(node) if not name.startswith("qos_overrides."))
    return [name for name in given if not node.has_parameter(name)]


def check(parameters: Sequence[Parameter], specs: Iterable[Spec]) -> SetParametersResult:
    """Say whether these values may be set, and if not, why (ranges and types are rclpy's to check)."""
    known = {spec.name: spec for spec in specs}
    for parameter in parameters:
        spec = known.get(parameter.name.rpartition(".")[2])
        if spec is not None and spec.choices and parameter.value not in spec.choices:
            choices = ", ".join(spec.choices)
            reason = f"{parameter.name} = '{parameter.value}' is unknown; choose one of {choices}"
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def listed(specs: Iterable[Spec]) -> str:
    """Return parameters with their defaults and meanings, a line each, for ``--help``."""
    return "\n".join(f"  {spec.name} = {spec.default!r}: {spec.description}" for spec in specs)


def _given(node: Node) -> dict[str, Parameter]:
    """Return the values of the command line and YAML files, which rclpy shows nowhere."""
    given: dict[str, Parameter] = node._parameter_overrides
    return given


def _descriptor(spec: Spec) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=spec.description, read_only=not spec.live)
    if spec.choices:
        descriptor.additional_constraints = f"one of {', '.join(spec.choices)}"
    if isinstance(spec.default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=spec.low, to_value=spec.high)]
    elif isinstance(spec.default, int) and not isinstance(spec.default, bool):
        descriptor.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high))]
    return descriptor
