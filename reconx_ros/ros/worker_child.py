"""One worker process and the connection to it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import reconx_ros
from reconx_ros.ros.link_replies import Reply
from reconx_ros.ros.outbox import Outbox

PROGRAM = (sys.executable, "-m", "reconx_ros.ros.worker")


class WorkerChild:
    """A worker process and the two threads that talk with it.

    Args:
        program: that is started; it is given the number of its end of the socket.
        received: called with every reply.
        outbox: what it is told.
        log: called with a line where what it is told or says is a defect.
    """

    def __init__(
        self,
        program: Sequence[str],
        received: Callable[[Reply], None],
        outbox: Outbox,
        log: Callable[[str], None],
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*program, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                start_new_session=True,  # a Ctrl-C on the terminal is the node's affair
            )
        self._connection = Connection(ours.detach())
        self._received, self.outbox, self._log = received, outbox, log
        threading.Thread(target=self._write, name="worker-writer", daemon=True).start()

    def listen(self) -> int:
        """Hand on replies until the process ends; return its exit code."""
        while (reply := self._next()) is not None:
            self._hand_on(reply)
        self.outbox.put(None)
        return self.process.wait()

    def _hand_on(self, reply: Reply) -> None:
        try:
            self._received(reply)
        except Exception as err:  # whatever comes of one reply, the next is heard
            self._log(f"worker link, {type(reply).__name__}: {type(err).__name__}: {err}")

    def _next(self) -> Reply | None:
        """Return the next reply, ``None`` at the end of the connection."""
        try:
            reply: Reply = self._connection.recv()
        except (EOFError, OSError):
            return None
        except Exception as err:  # nothing that follows could be understood
            self._log(f"worker link, reply: {type(err).__name__}: {err}")
            self.process.kill()
            return None
        return reply

    def _write(self) -> None:
        try:
            while (command := self.outbox.get()) is not None:
                self._connection.send(command)
        except OSError:
            pass  # the listener sees the same end and reports it
        except Exception as err:  # a worker that lacks something must not go on; the next is told all
            self._log(f"worker link, command: {type(err).__name__}: {err}")
            self.process.kill()


def cause(code: int) -> str:
    """Return why a process ended, from its exit code."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _environment() -> dict[str, str]:
    """Return the environment of the worker: this package on its path, and a sound ROS bootstrap.

    The ROS wheels re-execute Python once to set LD_LIBRARY_PATH and mark that it is done; where the
    mark has come without the path, it must go, so that the child does it again.
    """
    environment = dict(os.environ)
    if "LD_LIBRARY_PATH" not in environment:
        environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    root = str(Path(reconx_ros.__file__).resolve().parents[1])
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment
