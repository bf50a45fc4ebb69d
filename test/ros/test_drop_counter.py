"""Counts that are read while they are made."""

import sys
import threading
from collections import Counter

from reconx_ros.ros.drop_counter import DropCounter


def test_every_drop_is_counted_and_reading_never_fails() -> None:
    counter = DropCounter()

    def count(thread: int) -> None:
        for index in range(2000):
            counter.add(f"{thread} {index % 500}")

    threads = [threading.Thread(target=count, args=(thread,)) for thread in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            counter.counts + Counter()  # goes through all, as the status does
    finally:
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()
    assert counter.counts == {f"{thread} {index}": 4 for thread in range(2) for index in range(500)}


def test_what_is_read_is_a_copy() -> None:
    counter = DropCounter()
    counter.add("no pose")
    counter.counts["no pose"] += 1
    assert counter.counts == {"no pose": 1}
