"""Where a process of a run begins, with its message on standard input. Its arguments, NAME and RUN_DIR, are for who looks.

It takes its core, its niceness and its thread limits before it imports anything that sizes a thread pool by them, and
arranges to die with the supervisor.
"""

import json
import os
import signal
import sys

from rtrl_jax.core.one_thread import ONE_THREAD, die_with
from rtrl_jax.errors import DivergedError


def main() -> None:
    message = json.load(sys.stdin)
    # The supervisor decides when a run ends, also where all processes are told. A game's own process must not inherit deafness.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    die_with(message["supervisor"])
    os.sched_setaffinity(0, {message["process"]["core"]})
    os.nice(message["process"]["niceness"])
    os.environ.update({**ONE_THREAD, **message["environment"]})

    from rtrl_jax.realtime import roles

    try:
        roles.perform(message)
    except DivergedError as error:
        print(error)
        sys.exit(error.EXIT_STATUS)
