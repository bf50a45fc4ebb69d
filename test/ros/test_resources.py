"""What a process says it holds, and gives back."""

import gc

import numpy as np

from reconx_ros.ros.resources import give_back, memory_bytes


def test_freed_memory_goes_back_though_something_behind_it_stays() -> None:
    give_back()
    before = memory_bytes()
    # Too small for mmap; every hundredth stays, so the heap cannot shrink from its end.
    blocks = [np.ones(4096) for _ in range(4000)]
    assert memory_bytes() - before > 100e6
    stay = blocks[::100]
    del blocks
    gc.collect()
    give_back()
    assert memory_bytes() - before < 30e6
    assert sum(block[0] for block in stay) == 40
