"""The status of a session, look by look: rates are over the time between two of them."""

from collections import Counter

from rclpy.node import Node
from reconx_msgs.msg import MapStatus

from reconx_ros.ros.corrections import Corrections
from reconx_ros.ros.drop_counter import DropCounter
from reconx_ros.ros.ingest_group import IngestGroup
from reconx_ros.ros.map_state import MapState
from reconx_ros.ros.offboard import OffboardWorker
from reconx_ros.ros.onboard import OnboardWorker
from reconx_ros.ros.outputs import Outputs
from reconx_ros.ros.status import Rates, clock_warning, drops, map_status


class StatusLooks:
    """Fills in statuses.

    Args:
        node: for its clock.
        state: of the map.
        ingest: counts what comes in.
        outputs: counts what goes out.
        corrections: counts loop closures.
        refused: counts messages that could not be used.

    Attributes:
        without_pose_hz: frames a second that were dropped for want of a pose, before the last look.
    """

    def __init__(
        self,
        node: Node,
        state: MapState,
        ingest: IngestGroup,
        outputs: Outputs,
        corrections: Corrections,
        refused: DropCounter,
    ) -> None:
        self.without_pose_hz = 0.0
        self._node, self._state, self._ingest = node, state, ingest
        self._outputs, self._corrections, self._refused = outputs, corrections, refused
        self._rates, self._link_rates = Rates(), Rates()

    def take(
        self, worker: OnboardWorker | OffboardWorker, world: str, saving: bool, left_out: int
    ) -> MapStatus:
        """Return the status now.

        Args:
            worker: of the session.
            world: frame of the map.
            saving: whether a map is being saved.
            left_out: keyframes that were refused.
        """
        now, latest = self._node.get_clock().now().nanoseconds, self._ingest.latest_ns
        status = map_status(self._state, world, now)
        dropped = self._ingest.dropped + self._refused.counts
        dropped["left out"] += left_out
        self._fill_input(status, dropped)
        self._fill_worker(status, worker)
        status.map_version, status.corrections = self._outputs.version, self._corrections.count
        status.stamp_age_s = float("nan") if latest is None else (now - latest) / 1e9
        status.state = self._word(worker, saving)
        warning = clock_warning(now, latest)
        status.warnings = [warning] if warning else []
        return status

    def _fill_input(self, status: MapStatus, dropped: Counter[str]) -> None:
        ingest, state = self._ingest, self._state
        counts = Counter(keyframe=state.taken, map=state.version, no_pose=dropped["no pose"])
        rates = self._rates.step(ingest.received + counts)
        status.image_rate_hz, status.depth_rate_hz = rates.get("image", 0.0), rates.get("depth", 0.0)
        status.keyframe_rate_hz, status.map_rate_hz = rates.get("keyframe", 0.0), rates.get("map", 0.0)
        self.without_pose_hz = rates.get("no_pose", 0.0)
        status.frames_received, status.tf_failures = ingest.received["image"], dropped["no pose"]
        status.time_jumps, status.paused = ingest.jumps, ingest.paused
        status.drop_reasons, status.drop_counts = drops(dropped)

    def _fill_worker(self, status: MapStatus, worker: OnboardWorker | OffboardWorker) -> None:
        status.worker, status.link = worker.state, worker.link
        status.worker_restarts = worker.restarts
        status.queue = self._ingest.waiting + worker.behind
        if isinstance(worker, OffboardWorker):
            sent = Counter(out=worker.end.sent_bytes, into=worker.end.received_bytes)
            bytes_a_second = self._link_rates.step(sent)
            status.link_out_bps = 8 * bytes_a_second.get("out", 0.0)
            status.link_in_bps = 8 * bytes_a_second.get("into", 0.0)
            status.link_waiting = worker.waiting

    def _word(self, worker: OnboardWorker | OffboardWorker, saving: bool) -> str:
        if worker.state == "stopped":
            return "error"
        if saving:
            return "saving"
        if self._ingest.paused:
            return "paused"
        return "mapping" if self._state.keyframes or worker.behind else "waiting"
