"""Services and transitions asked for wrongly, or with a defect: answered, and the node lives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from rclpy.node import Node
from reconx_msgs.action import Reconstruct
from reconx_msgs.srv import GetGaussians, LoadMap, SaveMap
from ros_helpers import Process, call, ros_arguments, spin_until
from std_srvs.srv import Trigger

from reconx_ros.ros.services import Services

NOBODY = "~nobody_of_that_name/map"


def test_a_transition_that_is_not_possible_now_is_refused_and_the_node_lives(
    ros: Node, launch: Callable[..., Process], tmp_path: Path
) -> None:
    node = launch("reconx_ros.ros.node", *ros_arguments([], output=tmp_path / "map"))
    node.wait_for("active; input")

    def change(**transition: Any) -> bool:  # noqa: ANN401
        request = Transition(**transition)
        return bool(call(ros, ChangeState, "/reconx/change_state", transition=request).success)

    assert not change(id=Transition.TRANSITION_ACTIVATE)
    assert not change(id=77)
    assert not change(label="fly")
    node.wait_for("transition 3 is not possible while the node is active")
    state = call(ros, GetState, "/reconx/get_state").current_state.id
    assert state == State.PRIMARY_STATE_ACTIVE
    assert change(id=Transition.TRANSITION_DEACTIVATE)
    assert not change(id=Transition.TRANSITION_DEACTIVATE)
    assert node.interrupt() == 0, node.output
    assert "Traceback" not in node.output


def test_a_path_of_nobody_is_an_answer(ros: Node, launch: Callable[..., Process], tmp_path: Path) -> None:
    node = launch("reconx_ros.ros.node", *ros_arguments([], output=tmp_path / "map"))
    line = f"path '{NOBODY}': there is no user of that name"
    for kind, name in ((SaveMap, "save_map"), (LoadMap, "load_map")):
        answer = call(ros, kind, f"/reconx/{name}", path=NOBODY)
        assert (answer.success, answer.code, answer.message) == (False, kind.Response.FAILED, line)
    client = ActionClient(ros, Reconstruct, "/reconx/reconstruct")
    assert client.wait_for_server(20)
    sent = client.send_goal_async(Reconstruct.Goal(output=NOBODY))
    assert spin_until(ros, sent.done)
    finished = sent.result().get_result_async()
    assert spin_until(ros, finished.done)
    client.destroy()
    result = finished.result().result
    assert (result.success, result.code, result.message) == (False, Reconstruct.Result.BAD_GOAL, line)
    assert node.interrupt() == 0, node.output
    assert "Traceback" not in node.output


@pytest.mark.parametrize("parameter", ["output", "config_file"])
def test_a_parameter_that_names_nobody_is_one_line(launch: Callable[..., Process], parameter: str) -> None:
    node = launch("reconx_ros.ros.node", *ros_arguments([], **{parameter: NOBODY}))
    assert node.popen.wait(60) == 2
    node.wait_for(f"path '{NOBODY}': there is no user of that name")
    assert "Traceback" not in node.output


def test_a_defect_is_an_answer_and_the_next_is_answered_too(ros: Node) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    node = rclpy.create_node("faulty")
    services = Services(node, fail)  # type: ignore[arg-type]
    try:
        clients = [
            ros.create_client(kind, f"/faulty/{name}")
            for kind, name in ((Trigger, "reset"), (SaveMap, "save_map"), (GetGaussians, "get_gaussians"))
        ]
        for client in clients:
            assert client.wait_for_service(20)
            asked = client.call_async(client.srv_type.Request())
            assert spin_until(ros, lambda a=asked: rclpy.spin_once(node, timeout_sec=0.05) or a.done(), 20)
            assert (asked.result().success, asked.result().message) == (False, "RuntimeError: a defect")
            ros.destroy_client(client)
        assert services.pending == 0
    finally:
        node.destroy_node()
