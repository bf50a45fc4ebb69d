"""What a session is made of, as the parameters say."""

from collections.abc import Callable
from pathlib import Path

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node

from reconx_ros.config import ReconxConfig
from reconx_ros.ros.complaints import Complaints, alike
from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.ingest import IngestSettings
from reconx_ros.ros.inputs import image_topics
from reconx_ros.ros.journal import Journal
from reconx_ros.ros.link_commands import Begin
from reconx_ros.ros.link_messages import PictureFormat
from reconx_ros.ros.link_replies import Reply
from reconx_ros.ros.occupancy import GridSettings
from reconx_ros.ros.offboard import LinkSettings, OffboardWorker
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.outputs import Outputs
from reconx_ros.ros.parameters import Parameters
from reconx_ros.ros.pose_source import Frames, LivePoses


def begin_of(parameters: Parameters, config: ReconxConfig) -> Begin:
    """Return what a worker is told first."""
    folder = parameters.output_folder
    rescue = folder if parameters.autosave else None
    return Begin(config, parameters.min_keyframes, parameters.map_period, rescue, folder / "submaps")


def open_poses(parameters: Parameters) -> LivePoses:
    """Return where poses come from."""
    names = parameters.map_frame, parameters.odom_frame, parameters.base_frame
    return LivePoses(Frames(*names, parameters.max_pose_gap), parameters.pose_source)


def open_corrections(parameters: Parameters) -> Corrections:
    """Return what keyframes are corrected by."""
    return Corrections(parameters.loop_closure, parameters.loop_min_shift, parameters.loop_min_turn)


def open_outputs(node: Node, parameters: Parameters, config: ReconxConfig) -> Outputs:
    """Return the publishers.

    Raises:
        ConfigError: messages that are asked for are missing.
    """
    return Outputs(
        node,
        lambda: float(node.get_parameter("min_confidence").value),
        lambda: bool(node.get_parameter("publish_generated_points").value),
        _grid(parameters),
        parameters.rviz_splats,
        config.mapping.distance_field.live_radius > 0,
    )


def _grid(parameters: Parameters) -> GridSettings | None:
    if not parameters.occupancy_grid:
        return None
    return GridSettings(parameters.grid_resolution, parameters.grid_min_height, parameters.grid_max_height)


def ingest_settings(node: Node, parameters: Parameters, camera: str, first_number: int) -> IngestSettings:
    """Return how frames of a camera are matched and posed; they are named from ``first_number`` on."""
    own = parameters.of_camera(camera)
    stereo = own.depth_mode == "stereo"
    name = "right_image" if stereo else "depth"
    depth = "" if own.depth_mode == "none" else image_topics(node, name, camera)[0]
    return IngestSettings(
        image_topics(node, "image", camera)[0],
        depth,
        "required" if stereo else own.depth_mode,
        own.slop,
        parameters.tf_timeout,
        parameters.max_backlog,
        first_number,
        stereo,
        camera,
    )


def open_journal(
    begin: Begin, parameters: Parameters, output: Path, complaints: Complaints, log: RcutilsLogger
) -> Journal:
    """Return the journal in the ``output`` folder, which may hold an unfinished run; in memory without."""
    folder = output / "journal" if parameters.journal else None

    def complain(line: str) -> None:
        complaints.say(alike(line), line)  # of each file that is damaged one is named

    def opened() -> Journal:
        return Journal(begin, folder, complain)

    journal = opened()
    if journal.holds and not parameters.resume:
        journal.finish()
        journal = opened()
    if journal.holds:
        log.warning(f"{output} holds an unfinished run; going on with its {journal.resumed} keyframes")
    return journal


def open_worker(
    node: Node,
    parameters: Parameters,
    begin: Begin,
    journal: Journal,
    received: Callable[[Reply], None],
    world: Callable[[], str],
) -> OnboardWorker | OffboardWorker:
    """Start the worker here, or the link to one elsewhere.

    Args:
        node: whose worker it is.
        parameters: say where it is.
        begin: how to map.
        journal: what it is told.
        received: called with every reply, in a thread.
        world: gives the frame of the map.
    """
    log = node.get_logger()
    if parameters.worker == "onboard":
        return OnboardWorker(begin, received, log.error, journal)
    if not journal.on_disk:
        most = begin.config.keyframes.capacity
        log.warning(
            f"without a journal on disk at most {most} keyframes wait for the link; others will be lost"
        )
    pictures = PictureFormat(
        parameters.link_image_format, parameters.link_image_quality, parameters.link_depth_format
    )
    settings = LinkSettings(parameters.link_bandwidth * 1e6, pictures)
    return OffboardWorker(node, received, log.warning, journal, settings, world)
