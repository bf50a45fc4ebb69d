"""Independent pieces of work, side by side on the CPU's cores.

Each piece runs on one thread: sharing out the many small tensor operations of a single piece costs
more than it gains.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    threads = torch.get_num_threads()
    # The limit holds for the thread that sets it and for threads begun later: put it back for those.
    try:
        with ThreadPoolExecutor(
            os.cpu_count() or 1, "simulation", lambda: torch.set_num_threads(1)
        ) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def on_cores(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Call ``work`` on every item."""
    with _pool() as pool:
        for _ in pool.map(work, items):
            pass


def in_order(make: Callable[[int], Result], count: int, cancelled: Callable[[], bool]) -> Iterator[Result]:
    """Yield ``make(0)`` to ``make(count - 1)`` in order, a few ahead; stop early when cancelled."""
    ahead = 2 * (os.cpu_count() or 1)
    with _pool() as pool:
        pending = deque(pool.submit(make, number) for number in range(min(ahead, count)))
        for number in range(count):
            if cancelled():
                pool.shutdown(cancel_futures=True)
                return
            result = pending.popleft().result()
            if number + ahead < count:
                pending.append(pool.submit(make, number + ahead))
            yield result
