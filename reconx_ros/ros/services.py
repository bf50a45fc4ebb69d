"""The node's services and its action: questions to the worker, answered while the executor goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node
from rclpy.task import Future
from reconx_msgs.action import Reconstruct
from reconx_msgs.srv import ClearBox, GetGaussians, LoadMap, SaveMap
from std_srvs.srv import SetBool, Trigger

from reconx_ros.errors import ReconxError
from reconx_ros.ros.link import Activity, Answer
from reconx_ros.ros.session import Box, Goal, Session


class Services:
    """Every service of the node and the action ``~/reconstruct``.

    Args:
        node: that serves.
        session: that does the work.
    """

    def __init__(self, node: Node, session: Session) -> None:
        self._node, self._session = node, session
        self._goal: Any | None = None
        self._request = 0
        self._services = [
            node.create_service(SaveMap, "~/save_map", self._save),
            node.create_service(LoadMap, "~/load_map", self._load),
            node.create_service(ClearBox, "~/clear_box", self._clear_box),
            node.create_service(GetGaussians, "~/get_gaussians", self._get_gaussians),
            node.create_service(Trigger, "~/reset", self._reset),
            node.create_service(SetBool, "~/pause", self._pause),
        ]
        self._action = ActionServer(
            node,
            Reconstruct,
            "~/reconstruct",
            self._reconstruct,
            goal_callback=self._offered,
            cancel_callback=self._cancel,
        )

    def close(self) -> None:
        """End every service and the action."""
        for service in self._services:
            self._node.destroy_service(service)
        self._action.destroy()

    async def _save(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        answer = await self._ask(lambda answered: self._session.save(_folder(request.path), answered))
        return _fill(response, answer)

    async def _load(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        answer = await self._ask(lambda answered: self._session.load(_folder(request.path), answered))
        return _fill(response, answer)

    async def _clear_box(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        low, high = _vector(request.min), _vector(request.max)
        if not (np.isfinite([low, high]).all() and (low <= high).all()):
            response.success = False
            response.message = f"min {low.tolist()} must not be above max {high.tolist()} in any axis"
            return response
        box = Box(request.frame_id, low, high)
        try:
            answer = await self._ask(lambda answered: self._session.clear_box(box, answered))
        except ReconxError as err:
            response.success, response.message = False, str(err)
            return response
        response.success, response.message = answer.code == "ok", answer.message
        response.removed = answer.count
        return response

    def _get_gaussians(self, _: Any, response: Any) -> Any:  # noqa: ANN401
        whole = self._session.outputs.whole_gaussians()
        response.success = whole is not None
        response.message = "there is no map yet" if whole is None else f"{whole.count} Gaussians"
        if whole is not None:
            response.gaussians = whole
        return response

    def _reset(self, _: Any, response: Any) -> Any:  # noqa: ANN401
        self._session.reset()
        response.success, response.message = True, "the map is empty"
        return response

    def _pause(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        self._session.pause(request.data)
        response.success, response.message = True, "paused" if request.data else "mapping"
        return response

    def _offered(self, _: Any) -> GoalResponse:  # noqa: ANN401
        return GoalResponse.ACCEPT if self._goal is None else GoalResponse.REJECT

    def _cancel(self, _: Any) -> CancelResponse:  # noqa: ANN401
        self._session.cancel(self._request)
        return CancelResponse.ACCEPT

    async def _reconstruct(self, handle: Any) -> Any:  # noqa: ANN401
        self._goal, asked = handle, handle.request
        goal = Goal(asked.source, asked.preset, int(asked.steps), asked.output)

        def ask(answered: Callable[[Answer], None]) -> None:
            self._request = self._session.reconstruct(goal, answered, self._feedback)

        try:
            answer = await self._ask(ask)
        except ReconxError as err:
            answer = Answer(0, "bad_goal", str(err))
        finally:
            self._goal = None
        return _finished(handle, answer)

    def _feedback(self, activity: Activity) -> None:
        """Pass on where the work stands, in the link's thread."""
        handle = self._goal
        if handle is not None and rclpy.ok():
            feedback = Reconstruct.Feedback(stage=activity.stage, note=activity.note)
            feedback.fraction = float(activity.fraction)
            feedback.gaussians = self._session.state.gaussians
            handle.publish_feedback(feedback)

    def _ask(self, ask: Callable[[Callable[[Answer], None]], None]) -> Future:
        """Return a future of the worker's answer; the executor goes on meanwhile."""
        executor = self._node.executor
        future = Future(executor=executor)

        def answered(answer: Answer) -> None:
            future.set_result(answer)
            if executor is not None:
                executor.wake()

        ask(answered)
        return future


def _finished(handle: Any, answer: Answer) -> Any:  # noqa: ANN401
    """Put a goal into its end state and return its result."""
    names = {"ok": "OK", "canceled": "CANCELED", "bad_goal": "BAD_GOAL", "no_map": "BAD_GOAL"}
    result = Reconstruct.Result(success=answer.code == "ok", message=answer.message, path=answer.path)
    result.code = getattr(Reconstruct.Result, names.get(answer.code, "FAILED"))
    result.gaussians = answer.count
    if answer.code == "ok" and not handle.is_cancel_requested:
        handle.succeed()
    elif handle.is_cancel_requested:
        handle.canceled()
    else:
        handle.abort()
    return result


def _folder(path: str) -> Path | None:
    return Path(path).expanduser().absolute() if path else None


def _vector(point: Any) -> NDArray[np.float64]:  # noqa: ANN401
    return np.array([point.x, point.y, point.z])


def _fill(response: Any, answer: Answer) -> Any:  # noqa: ANN401
    """Fill in a SaveMap or LoadMap response, whose codes have the names of ours."""
    response.success = answer.code == "ok"
    response.code = getattr(type(response), answer.code.upper(), type(response).FAILED)
    response.message, response.path = answer.message, answer.path
    return response
