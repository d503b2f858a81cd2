"""A process on a core of its own computes in one thread, and dies with the one that started it.

Imports nothing heavy: what stands here holds only if it is set before anything sizes a thread pool.
"""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def die_with(parent: int) -> None:
    """Has the kernel kill this process when the one that started it, whose id is given, ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
