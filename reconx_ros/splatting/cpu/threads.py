"""One lock for the threaded kernels.

numba runs their loops on GNU OpenMP where libgomp is installed (TBB if that is; both may be entered
from several Python threads) and otherwise on its own pool, which ends the process when two threads
enter it. A kernel uses all of ``NUMBA_NUM_THREADS`` anyway, so only one runs at a time. GNU OpenMP does
not survive ``fork``: start worker processes with ``spawn`` or before the first kernel.
"""

import threading

KERNELS = threading.RLock()
"""Held while threaded kernels run."""
