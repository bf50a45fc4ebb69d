"""The node's services and its action: questions to the worker, answered while the executor goes on."""

import inspect
import traceback
from collections.abc import Callable
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
from reconx_ros.ros.link_replies import Activity, Answer, Code
from reconx_ros.ros.requests import Box, Goal
from reconx_ros.ros.session import Session

UNCONFIGURED = "the node is not configured: there is no map and no worker"

Ask = Callable[[Session, Callable[[Answer], None]], None]
"""Puts a question to a session, which calls back with the answer, maybe in a thread."""


class Services:
    """Every service of the node and the action ``~/reconstruct``.

    They live as long as the node, so that a request that is under way when a session ends is still
    answered; without a session they say so.

    Args:
        node: that serves.
        session: gives the session that does the work, ``None`` where the node is not configured.

    Attributes:
        pending: requests that are not answered yet.
    """

    def __init__(self, node: Node, session: Callable[[], Session | None]) -> None:
        self.pending = 0
        self._node, self._session = node, session
        self._goal: Any | None = None
        self._request: int | None = None
        self._serve(SaveMap, "~/save_map", self._save)
        self._serve(LoadMap, "~/load_map", self._load)
        self._serve(ClearBox, "~/clear_box", self._clear_box)
        self._serve(GetGaussians, "~/get_gaussians", self._get_gaussians)
        self._serve(Trigger, "~/reset", self._reset)
        self._serve(SetBool, "~/pause", self._pause)
        self._action = ActionServer(
            node,
            Reconstruct,
            "~/reconstruct",
            self._reconstruct,
            goal_callback=self._offered,
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
        )

    def _serve(self, kind: type[Any], name: str, answer: Callable[[Any, Any], Any]) -> None:
        """Serve; a defect in ``answer`` is a traceback in the log and an answer too."""

        async def guarded(request: Any, response: Any) -> Any:  # noqa: ANN401
            try:
                made = answer(request, response)
                return await made if inspect.isawaitable(made) else made
            except Exception as err:
                self._node.get_logger().error(traceback.format_exc())
                response.success, response.message = False, f"{type(err).__name__}: {err}"
                if hasattr(response, "code"):
                    response.code = kind.Response.FAILED
                return response

        self._node.create_service(kind, name, guarded)

    async def _save(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        answer = await self._ask(lambda session, answered: session.requests.save(request.path, answered))
        return _fill(response, answer)

    async def _load(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        answer = await self._ask(lambda session, answered: session.requests.load(request.path, answered))
        return _fill(response, answer)

    async def _clear_box(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        low, high = _vector(request.min), _vector(request.max)
        if not (np.isfinite([low, high]).all() and (low <= high).all()):
            response.success = False
            response.message = f"min {low.tolist()} must not be above max {high.tolist()} in any axis"
            return response
        box = Box(request.frame_id, low, high)
        answer = await self._ask(lambda session, answered: session.requests.clear_box(box, answered))
        response.success, response.message = answer.code == "ok", answer.message
        response.removed = answer.count
        return response

    def _get_gaussians(self, _: Any, response: Any) -> Any:  # noqa: ANN401
        session = self._session()
        whole = None if session is None else session.outputs.whole_gaussians()
        response.success = whole is not None
        if whole is None:
            response.message = UNCONFIGURED if session is None else "there is no map yet"
        else:
            response.message, response.gaussians = f"{whole.count} Gaussians", whole
        return response

    def _reset(self, _: Any, response: Any) -> Any:  # noqa: ANN401
        return self._tell(response, lambda session: session.reset(), "the map is empty")

    def _pause(self, request: Any, response: Any) -> Any:  # noqa: ANN401
        done = "paused" if request.data else "mapping"
        return self._tell(response, lambda session: session.pause(request.data), done)

    def _tell(self, response: Any, tell: Callable[[Session], None], done: str) -> Any:  # noqa: ANN401
        """Tell the session something that it does not answer."""
        session = self._session()
        if session is not None:
            tell(session)
        response.success = session is not None
        response.message = UNCONFIGURED if session is None else done
        return response

    def _offered(self, _: Any) -> GoalResponse:  # noqa: ANN401
        return GoalResponse.ACCEPT if self._goal is None else GoalResponse.REJECT

    def _accepted(self, handle: Any) -> None:  # noqa: ANN401
        """Take a goal, at once: the next may be offered before this one is begun."""
        self._goal, self._request = handle, None
        handle.execute()

    def _cancel(self, _: Any) -> CancelResponse:  # noqa: ANN401
        session = self._session()
        if session is not None and self._request is not None:  # else it is cancelled when it begins
            session.requests.cancel(self._request)
        return CancelResponse.ACCEPT

    async def _reconstruct(self, handle: Any) -> Any:  # noqa: ANN401
        asked = handle.request
        goal = Goal(asked.source, asked.preset, int(asked.steps), asked.output)

        def ask(session: Session, answered: Callable[[Answer], None]) -> None:
            self._request = session.requests.reconstruct(goal, answered, self._feedback)
            if handle.is_cancel_requested:
                session.requests.cancel(self._request)

        try:
            answer = await self._ask(ask, "bad_goal")
        finally:
            self._goal = self._request = None
        return _finished(handle, answer)

    def _feedback(self, activity: Activity) -> None:
        """Pass on where the work stands, in the link's thread."""
        handle, session = self._goal, self._session()
        if handle is not None and session is not None and rclpy.ok():
            feedback = Reconstruct.Feedback(stage=activity.stage, note=activity.note)
            feedback.fraction = float(activity.fraction)
            feedback.gaussians = session.state.gaussians
            handle.publish_feedback(feedback)

    async def _ask(self, ask: Ask, bad: Code = "failed") -> Answer:
        """Return the worker's answer; the executor goes on meanwhile.

        Args:
            ask: puts the question.
            bad: code of the answer where the question itself is refused.
        """
        session, executor = self._session(), self._node.executor
        if session is None:
            return Answer(0, "failed", UNCONFIGURED)
        future = Future(executor=executor)

        def answered(answer: Answer) -> None:
            future.set_result(answer)
            if executor is not None:
                executor.wake()

        self.pending += 1
        try:
            ask(session, answered)
            answer: Answer = await future
        except ReconxError as err:
            return Answer(0, bad, str(err))
        finally:
            self.pending -= 1
        return answer


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


def _vector(point: Any) -> NDArray[np.float64]:  # noqa: ANN401
    return np.array([point.x, point.y, point.z])


def _fill(response: Any, answer: Answer) -> Any:  # noqa: ANN401
    """Fill in a SaveMap or LoadMap response, whose codes have the names of ours."""
    response.success = answer.code == "ok"
    response.code = getattr(type(response), answer.code.upper(), type(response).FAILED)
    response.message, response.path = answer.message, answer.path
    return response
