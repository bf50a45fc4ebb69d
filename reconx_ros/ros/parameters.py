"""Every parameter of the node: declared with a description and a range, read once, changed live."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rclpy.node import Node

from reconx_ros.errors import ConfigError
from reconx_ros.ros import declaring
from reconx_ros.ros.parameter_specs import SPECS
from reconx_ros.ros.paths import meant
from reconx_ros.sources.frame_graph import bare


@dataclass(frozen=True)
class Parameters:
    """The parameters' values as read when the node is configured; see ``SPECS``."""

    cameras: str
    image_transport: str
    depth_transport: str
    depth_mode: Any
    input_qos: str
    map_frame: str
    odom_frame: str
    base_frame: str
    pose_source: Any
    loop_closure: Any
    loop_min_shift: float
    loop_min_turn: float
    slop: float
    tf_timeout: float
    max_pose_gap: float
    preset: str
    config_file: str
    synthesizer: str
    output: str
    journal: bool
    resume: bool
    autostart: bool
    autosave: bool
    min_keyframes: int
    map_period: float
    max_backlog: int
    status_rate: float
    min_confidence: float
    publish_generated_points: bool
    worker: str
    link_bandwidth: float
    link_image_format: str
    link_image_quality: int
    link_depth_format: str
    rviz_splats: bool
    distance_field: float
    distance_field_radius: float
    distance_field_height: float
    occupancy_grid: bool
    grid_resolution: float
    grid_min_height: float
    grid_max_height: float
    blocks: Mapping[str, "CameraParameters"] = field(default_factory=dict)

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The cameras' names; one empty name where they have none."""
        return camera_names(self.cameras)

    def of_camera(self, camera: str) -> "CameraParameters":
        """Return what holds for a camera: its own block, or what holds for all."""
        own = CameraParameters(self.image_transport, self.depth_transport, self.depth_mode, self.slop)
        return self.blocks.get(camera, own)

    @property
    def overrides(self) -> dict[str, Any]:
        """Settings of stages that parameters set, over preset and ``config_file``."""
        found: dict[str, Any] = {"synthesis": {"method": self.synthesizer}} if self.synthesizer else {}
        field = {"voxel_size": self.distance_field, "live_radius": self.distance_field_radius}
        wanted = {name: value for name, value in field.items() if value}
        if wanted:
            height = {"live_height": self.distance_field_height} if self.distance_field_radius else {}
            found["mapping"] = {"distance_field": wanted | height}
        return found

    @cached_property
    def output_folder(self) -> Path:
        """The folder maps are saved to; where none is given one of this run, named when first asked for."""
        if self.output:
            return meant(self.output)
        return run_folder()


@dataclass(frozen=True)
class CameraParameters:
    """The parameters that each camera may have of its own, as ``NAME.depth_mode``."""

    image_transport: str
    depth_transport: str
    depth_mode: Any
    slop: float


FRAMES = ("map_frame", "odom_frame", "base_frame")
"""Parameters that are names of frames."""

PER_CAMERA = tuple(field.name for field in fields(CameraParameters))


def camera_names(text: str) -> tuple[str, ...]:
    """Return the names in the parameter ``cameras``; one empty name where it is empty."""
    return tuple(name for name in (part.strip() for part in text.split(",")) if name) or ("",)


def run_folder() -> Path:
    """Return a folder for this run under $ROS_HOME, named by time and process."""
    home = Path(os.environ.get("ROS_HOME", "~/.ros")).expanduser()
    return home / "reconx" / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}"


def declare(node: Node) -> None:
    """Declare every parameter of the node, and those of each of its cameras; see ``declaring``.

    Raises:
        ConfigError: a value has the wrong type or is out of range.
    """
    declaring.declare(node, SPECS)
    names = dict.fromkeys(camera_names(str(node.get_parameter("cameras").value)))
    for camera in filter(None, names):
        for spec in (spec for spec in SPECS if spec.name in PER_CAMERA):
            own = node.get_parameter(spec.name).value
            declaring.declare_one(node, f"{camera}.{spec.name}", own, spec)
    node.add_on_set_parameters_callback(partial(declaring.check, specs=SPECS))
    declaring.warn_of_unknown(node, SPECS)


def read(node: Node) -> Parameters:
    """Return the values.

    Raises:
        ConfigError: a word is not one of its choices.
    """
    values = [node.get_parameter(spec.name) for spec in SPECS]
    names = camera_names(str(node.get_parameter("cameras").value))
    bad = [name for name in names if name and not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)]
    if bad or len(set(names)) < len(names):
        raise ConfigError(f"cameras = '{','.join(names)}': names are distinct words of letters and digits")
    own = {
        name: {field: node.get_parameter(f"{name}.{field}") for field in PER_CAMERA}
        for name in filter(None, names)
    }
    result = declaring.check([*values, *(one for block in own.values() for one in block.values())], SPECS)
    if not result.successful:
        raise ConfigError(result.reason)
    check_together({value.name: value.value for value in values})
    blocks = {
        name: CameraParameters(**{field: one.value for field, one in block.items()})
        for name, block in own.items()
    }
    given = {value.name: value.value for value in values}
    frames = {name: bare(given[name]) for name in FRAMES}  # tf2 knows no frame that begins with a slash
    return Parameters(**{**given, **frames}, blocks=blocks)


def check_together(values: Mapping[str, Any]) -> None:
    """Check what only several values say together, and names of frames.

    Raises:
        ConfigError: a frame has no name, or the floor plan no height.
    """
    for name in FRAMES:
        if not values[name].strip("/ "):
            raise ConfigError(f"{name} = '{values[name]}': a frame has a name, such as '{_DEFAULTS[name]}'")
    low, high = values["grid_min_height"], values["grid_max_height"]
    if low >= high:
        raise ConfigError(
            f"grid_min_height = {low:g} must be below grid_max_height = {high:g}: obstacles are in between"
        )


_DEFAULTS = {spec.name: spec.default for spec in SPECS}
