"""The worker process: reconstructs while the node buffers and publishes.

Started by the node as ``python -m reconx_ros.ros.worker FD`` with one end of a socket pair. It
obeys the node alone: signals of the terminal, and of who ends all processes of a service or machine,
are ignored, and where the node dies without a word the map is saved before the worker ends.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from reconx_ros.ros.link_commands import Stop
from reconx_ros.ros.link_replies import Reply, Trouble
from reconx_ros.ros.map_worker import MapWorker

NICE = 10
"""The worker may use all cores; the node's callbacks go first."""


class ToNode(logging.Handler):
    """Hands warnings to the node, which says them under its name and not again and again.

    Args:
        send: sends a reply to the node.
    """

    def __init__(self, send: Callable[[Reply], None]) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line."""
        self._send(Trouble(record.getMessage()))


def _read(connection: Connection, worker: MapWorker, rescue: Path | None) -> None:
    """Fill the inbox until the node is gone; then save and end."""
    try:
        while True:
            worker.inbox.put(connection.recv())
    except (EOFError, OSError):
        worker.inbox.put(Stop(0, rescue))


def main() -> None:
    """Serve the node at the other end of the socket whose number is the argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICE)
    connection = Connection(int(sys.argv[1]))
    try:
        begin = connection.recv()
    except EOFError:
        return

    def send(reply: Reply) -> None:
        # Where the node is gone, the reader sees the end and brings the last command.
        with contextlib.suppress(OSError):
            connection.send(reply)

    logging.getLogger("reconx_ros").addHandler(ToNode(send))
    worker = MapWorker(begin, send)
    threading.Thread(target=_read, args=(connection, worker, begin.rescue), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
