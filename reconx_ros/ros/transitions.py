"""Transitions of a lifecycle node that are asked for at the wrong time."""

from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Answer ``change_state`` where there is no such transition now.

    Up to Jazzy an exception of rclpy ends the node there (https://github.com/ros2/rclpy/issues/1209), as
    when somebody activates it twice.
    """
    service = node._service_change_state
    change = service.callback

    def attempt(request: Any, response: Any) -> Any:  # noqa: ANN401
        state = node._state_machine.current_state[1]
        try:
            return change(request, response)
        except rclpy_implementation.RCLError:
            asked = request.transition.label or request.transition.id
            node.get_logger().error(f"transition {asked} is not possible while the node is {state}")
            response.success = False
            return response

    service.callback = attempt
