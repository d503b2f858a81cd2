"""Where a process of a run begins: `python -m rtrl_jax.drivers.child NAME RUN_DIR`, with its message on standard input.

It takes its core, its niceness and its thread limits before it imports anything that sizes a thread pool by them, and
arranges to die with the supervisor.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def main() -> None:
    message = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when a run ends
    die_with(message["supervisor"])
    os.sched_setaffinity(0, {message["core"]})
    os.nice(message["niceness"])
    os.environ.update({**ONE_THREAD, **message["environment"]})

    from rtrl_jax.drivers import roles

    roles.perform(message)


def die_with(supervisor: int) -> None:
    """Has the kernel kill this process when the one that started it, whose id is given, ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the line above
        os._exit(1)


if __name__ == "__main__":
    main()
