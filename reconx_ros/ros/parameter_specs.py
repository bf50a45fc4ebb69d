"""What parameters there are: names, defaults, meanings and ranges."""

from dataclasses import dataclass, replace
from typing import get_args

from reconx_ros.config import PRESETS
from reconx_ros.diffusion.config import Method
from reconx_ros.ros.qos import INPUT_QOS

Value = str | bool | int | float


@dataclass(frozen=True)
class Spec:
    """A parameter.

    Attributes:
        name: of the parameter.
        default: its value and type.
        description: one sentence, with the unit.
        low: least value of a number.
        high: greatest value of a number.
        choices: the values a word may have; empty means any.
        live: whether it may change while the node runs.
    """

    name: str
    default: Value
    description: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    live: bool = False


TRANSPORTS = ("auto", "raw", "compressed")

WORKERS = ("onboard", "offboard")

OUTPUT = Spec(
    "output", "", "Folder maps are saved to; empty: a new one in $ROS_HOME/reconx (~/.ros/reconx)."
)

BANDWIDTH = Spec("link_bandwidth", 0.0, "Mbit/s at most to the robot; 0: no bound.", 0.0, 10_000.0)

WORKER_SPECS = (OUTPUT, BANDWIDTH)
"""Parameters of ``reconx_worker``."""

SPECS = (
    Spec(
        "cameras",
        "",
        "Names of several cameras, with commas: NAME/image, NAME/depth, ...; NAME.depth_mode, ...",
    ),
    Spec("image_transport", "auto", "Colour: raw, compressed, or the first to come.", choices=TRANSPORTS),
    Spec("depth_transport", "auto", "Depth: raw, compressedDepth, or either.", choices=TRANSPORTS),
    Spec(
        "depth_mode",
        "required",
        "Depth: needed, used where it comes, not read, or matched from a right image.",
        choices=("required", "optional", "none", "stereo"),
    ),
    Spec("input_qos", "best_effort", "Reliability asked of image topics.", choices=INPUT_QOS),
    Spec("map_frame", "map", "The world frame of the map."),
    Spec("odom_frame", "odom", "The world where TF does not join the map frame to the camera."),
    Spec("base_frame", "base_link", "Child frame of odometry messages that name none."),
    Spec("pose_source", "auto", "Poses: TF, odometry, or TF first.", choices=("auto", "tf", "odom")),
    Spec(
        "loop_closure",
        "spread",
        "What a jump of map -> odom moves: the way since the last one, all of it alike, or nothing.",
        choices=("spread", "rigid", "ignore"),
    ),
    Spec("loop_min_shift", 0.05, "Metres from which a change of map -> odom is a jump.", 0.0, 10.0),
    Spec("loop_min_turn", 1.0, "Degrees from which a change of map -> odom is a jump.", 0.0, 180.0),
    Spec("slop", 0.05, "Seconds between colour and depth that still match.", 0.0, 1.0),
    Spec("tf_timeout", 0.5, "Seconds a frame waits for its pose.", 0.0, 10.0),
    Spec("max_pose_gap", 0.5, "Seconds between two poses over which is still interpolated.", 0.0, 10.0),
    Spec("preset", "fast", "Quality of the map against time.", choices=PRESETS),
    Spec("config_file", "", "YAML file of stage settings over the preset; empty: none."),
    Spec(
        "synthesizer",
        "",
        "Who films what no camera saw; empty: as preset and config_file say.",
        choices=("", *get_args(Method)),
    ),
    OUTPUT,
    Spec("journal", True, "Write keyframes to the output folder first, so that a crash loses none."),
    Spec("resume", True, "Go on with the unfinished run that the output folder holds."),
    Spec("autostart", True, "Configure and activate at once, without a lifecycle manager."),
    Spec("autosave", True, "Save the map when the node ends.", live=True),
    Spec("min_keyframes", 3, "Keyframes before the first map is published.", 1, 100),
    Spec("map_period", 2.0, "Least seconds between two published maps.", 0.1, 60.0),
    Spec("max_backlog", 16, "Keyframes the worker may be behind; more are dropped.", 1, 1000),
    Spec("status_rate", 1.0, "Status and diagnostics a second; rates are over that time.", 0.1, 20.0),
    Spec("min_confidence", 0.0, "Points of less confidence are not published.", 0.0, 1.0, live=True),
    Spec(
        "publish_generated_points",
        False,
        "Also publish points that no camera saw. Not for planning: they may be wrong.",
        live=True,
    ),
    Spec("worker", "onboard", "Where to reconstruct: here, or by reconx_worker.", choices=WORKERS),
    replace(BANDWIDTH, description="Mbit/s at most to an offboard worker; 0: no bound."),
    Spec("link_image_format", "jpeg", "Colour of keyframes on the link.", choices=("jpeg", "webp", "png")),
    Spec("link_image_quality", 90, "Quality of jpeg and webp on the link.", 1, 100),
    Spec("link_depth_format", "png", "Depth on the link, both lossless.", choices=("png", "rvl")),
    Spec("rviz_splats", False, "Publish the Gaussians for RVizSplat too; needs its package gsplat_msgs."),
    Spec("distance_field", 0.0, "Metres a voxel of the distance field saved with maps; 0: none.", 0.0, 1.0),
    Spec(
        "distance_field_radius",
        0.0,
        "Metres to each side of the robot of the distance field published while mapping; 0: none.",
        0.0,
        20.0,
    ),
    Spec("distance_field_height", 1.5, "Metres above and below the camera, likewise.", 0.1, 20.0),
    Spec("occupancy_grid", False, "Publish a floor plan for Nav2's static layer."),
    Spec("grid_resolution", 0.05, "Metres a cell of the floor plan.", 0.01, 1.0),
    Spec("grid_min_height", 0.1, "Metres above the map's origin; what is lower is floor.", -10.0, 10.0),
    Spec("grid_max_height", 1.8, "Metres; what is higher is no obstacle.", -10.0, 100.0),
)  # fmt: skip
