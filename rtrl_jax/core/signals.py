"""SIGINT, SIGTERM and SIGHUP as a wish to end the run."""

import signal
import threading
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_to(stop):
    """SIGINT, SIGTERM and SIGHUP end the run cleanly, if this is the main thread (only there can they be handled)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]  # nohup's wish stands
    before = [signal.signal(number, lambda n, _: stop(signal.Signals(n).name)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
