"""SIGINT, SIGTERM and SIGHUP as a wish to end the run."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def signals_to(stop):
    """SIGINT, SIGTERM and SIGHUP end the run cleanly, if this is the main thread (only there can they be handled)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda n, _: stop(signal.Signals(n).name)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
