"""Where a process of a run begins: `python -P child.py NAME RUN_DIR`, with its message on standard input.

What the parent imports from, a user's own folder too, comes after the standard library: a random.py there is not taken for
Python's. It takes its core, its niceness and its thread limits before it imports anything that sizes a thread pool by them, and
arranges to die with the supervisor.
"""

import json
import os
import signal
import sys


def main() -> None:
    message = json.load(sys.stdin)
    sys.path += [entry for entry in message["path"] if entry not in sys.path]
    from rtrl_jax.core.one_thread import ONE_THREAD, die_with

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when a run ends
    die_with(message["supervisor"])
    os.sched_setaffinity(0, {message["process"]["core"]})
    os.nice(message["process"]["niceness"])
    os.environ.update({**ONE_THREAD, **message["environment"]})

    from rtrl_jax.realtime import roles

    roles.perform(message)


if __name__ == "__main__":
    main()
