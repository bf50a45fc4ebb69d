"""``reconx_node``: the ROS 2 node. It buffers and publishes; a worker process reconstructs."""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter

from reconx_ros.config import load_config
from reconx_ros.errors import ReconxError
from reconx_ros.ros.declaring import listed
from reconx_ros.ros.diagnostics import diagnostics
from reconx_ros.ros.input_watch import InputWatch
from reconx_ros.ros.inputs import Inputs
from reconx_ros.ros.parameter_specs import SPECS
from reconx_ros.ros.parameters import declare, read
from reconx_ros.ros.paths import meant
from reconx_ros.ros.program import begin, refuse
from reconx_ros.ros.services import Services
from reconx_ros.ros.session import Session
from reconx_ros.ros.silence import silence_warning
from reconx_ros.ros.status import left_out_warning, pose_warning
from reconx_ros.ros.tf2_transforms import has_tf2
from reconx_ros.ros.transitions import refuse_impossible_transitions

STEADY = Clock(clock_type=ClockType.STEADY_TIME)

ANSWER_S = 2.0
"""Seconds at the end in which requests that are under way are still answered."""

FILTERS = {"min_confidence", "publish_generated_points"}
"""Parameters that say which points are published."""

ADVANCE_S = 0.05
"""Seconds between two looks at frames that wait for their pose."""


class ReconxNode(LifecycleNode):
    """Lifecycle: configured it has a worker and its outputs; only active it takes input."""

    def __init__(self) -> None:
        super().__init__("reconx")
        declare(self)
        self.add_post_set_parameters_callback(self._changed)
        self.session: Session | None = None
        self._inputs: Inputs | None = None
        self._looks: list[Any] = []
        self._teller: Any | None = None
        self._watch: InputWatch | None = None
        self.served = Services(self, lambda: self.session)
        refuse_impossible_transitions(self)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker, the outputs and the services."""
        return self._attempt(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take input."""
        return self._attempt(self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take no more input; the map stays and is still refined."""
        return self._attempt(self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Save where ``autosave`` is on, end the worker, forget the map."""
        return self._attempt(self.finish)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As ``on_cleanup``."""
        return self._attempt(self.finish)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a defect in a transition: end the session, so that the node can be configured again."""
        return self._attempt(self.finish)

    def finish(self) -> bool:
        """End the session, if there is one, in whatever state it is; say where the map is.

        Return whether all is well: where it is not, the map could not be saved.
        """
        self._deactivate()
        teller, self._teller = self._teller, None
        if teller is not None and rclpy.ok():
            self.destroy_timer(teller)
        session, self.session = self.session, None
        if session is None:
            return True
        answer = session.finish(bool(self.get_parameter("autosave").value))
        # The node's own logger also publishes, which fails once a signal has shut ROS down.
        log = self.get_logger() if rclpy.ok() else get_logger("reconx_ros")
        well = answer.code in ("ok", "no_map")
        # Each on a line of its own: a logger of rclpy keeps one severity for every line that calls it.
        if well:
            log.info(answer.message)
        else:
            log.error(answer.message)
        return well

    def _attempt(self, transition: Callable[[], object]) -> TransitionCallbackReturn:
        """Run a transition; what a user can mend is one line, and the node stays where it was.

        Anything else is a defect: rclpy makes an error of it without a word, so it is said here.
        """
        try:
            transition()
        except ReconxError as err:
            self.get_logger().error(str(err))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            self.get_logger().fatal(traceback.format_exc())
            raise
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self.values = read(self)
        file = meant(self.values.config_file) if self.values.config_file else None
        config = load_config(self.values.preset, file, self.values.overrides)
        self.session = Session(self, self.values, config)
        # Steady time: simulated time stands still when a bag ends, and the map goes on.
        self._teller = self.create_timer(
            1 / self.values.status_rate, self._guarded(self._tell), clock=STEADY
        )
        keeper = "tf2_ros" if has_tf2() else "a tree of our own (tf2_ros is not installed)"
        self.get_logger().info(f"configured; transforms in {keeper}; maps go to {self.session.folder}")

    def _activate(self) -> None:
        assert self.session is not None
        session = self.session
        self._inputs = Inputs(
            self, self.values, session.ingest, session.poses, session.guard, session.trajectory
        )
        topics = self._inputs.topics
        self._watch = InputWatch(self, self.values, topics, session.ingest, session.complaints)
        periods = {session.advance: ADVANCE_S, self._watch.check: 1.0}
        self._looks = [
            self.create_timer(s, self._guarded(work), clock=STEADY) for work, s in periods.items()
        ]
        listed = ", ".join(f"{name}: {topic}" for name, topic in topics.items())
        self.get_logger().info(f"active; input {listed}")

    def _deactivate(self) -> None:
        timers, self._looks = self._looks, []
        inputs, self._inputs = self._inputs, None
        self._watch = None
        if rclpy.ok():
            for timer in timers:
                self.destroy_timer(timer)
            if inputs is not None:
                inputs.close()

    def _changed(self, parameters: list[Parameter]) -> None:
        """Show what parameters have changed at once: a map at rest is not published again by itself."""
        session = self.session
        if session is not None and {parameter.name for parameter in parameters} & FILTERS:
            self._guarded(session.outputs.refilter)()

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return ``work`` for a timer: a defect in it is a line in the log, not the end of the node."""

        def attempt() -> None:
            try:
                work()
            except Exception as err:
                if rclpy.ok():  # else it is the end, and publishing fails
                    line = f"{work.__name__}: {type(err).__name__}: {err}"
                    self.get_logger().error(line, throttle_duration_sec=30)

        return attempt

    def _tell(self) -> None:
        """Publish status and diagnostics, of one look: rates are over the time between two looks."""
        session = self.session
        assert session is not None
        status = session.status()
        for warning in status.warnings:
            session.complaints.say("clock", warning)
        silent = [] if self._watch is None else self._watch.silent()
        more = silence_warning(silent) + pose_warning(session.without_pose_hz)
        more += left_out_warning(session.left_out)
        status.warnings = [*status.warnings, *more]
        if self._inputs is None and status.state in ("waiting", "mapping"):
            status.state = "inactive"
        session.outputs.status(status)
        name = self.get_fully_qualified_name().strip("/")
        session.outputs.diagnostics(diagnostics(status, name, session.state.details))


ABOUT = f"""Map what a camera sees. Topics, services and frames: docs/node.md.
usage: reconx_node --ros-args [-p PARAMETER:=VALUE] [-r TOPIC:=TOPIC] [--params-file FILE]
parameters and their defaults:
{listed(SPECS)}"""


def main(arguments: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM, save the map, and return the exit code: 2 where that fails."""
    try:
        stop = begin(arguments if arguments is not None else sys.argv, ABOUT)
    except ReconxError as err:
        return refuse("reconx_node", err)
    node = None
    code = 0
    try:
        node = ReconxNode()
        code = _run(node, stop)
    except ReconxError as err:
        return refuse("reconx_node", err)
    except ExternalShutdownException:
        pass
    except Exception:
        if rclpy.ok():  # else the signal came while the node was being made
            raise
    finally:
        if node is not None:
            node.finish()
        rclpy.try_shutdown()
    return code


def _run(node: ReconxNode, stop: threading.Event) -> int:
    """Bring the node up where it may start by itself, and spin."""
    if node.get_parameter("autostart").value:
        for transition in (node.trigger_configure, node.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                return 2
    else:
        node.get_logger().info("waiting to be configured (autostart is false)")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while rclpy.ok() and not stop.is_set():
        _spin(node, executor)
    well = node.finish()
    _answer(node, executor)
    return 0 if well else 2


def _answer(node: ReconxNode, executor: SingleThreadedExecutor) -> None:
    """Give those the answer who asked something when the end came."""
    deadline = time.monotonic() + ANSWER_S
    while rclpy.ok() and node.served.pending and time.monotonic() < deadline:
        _spin(node, executor)


def _spin(node: ReconxNode, executor: SingleThreadedExecutor) -> None:
    """Do what has come; a defect in it is a traceback in the log, not the end of the node."""
    try:
        executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        raise
    except Exception:
        if rclpy.ok():
            node.get_logger().error(traceback.format_exc(), throttle_duration_sec=5)


if __name__ == "__main__":
    threading.current_thread().name = "executor"
    sys.exit(main())
