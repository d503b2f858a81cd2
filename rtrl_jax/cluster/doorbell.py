"""A bell on the board that wakes an event loop: a thread waits where the kernel lets only threads wait."""

import asyncio
import threading
from collections.abc import Callable

from rtrl_jax.board.bell import Bell

LOOK_S = 0.2  # a ring may be missed where several ring at once


def listen(bell: Bell, heard: Callable[[], None]) -> None:
    """Has the running event loop call `heard` after each ring, and every LOOK_S. It ends with the process."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        seen = bell.count()
        while not loop.is_closed():
            bell.wait(seen, LOOK_S)
            seen = bell.count()
            try:
                loop.call_soon_threadsafe(heard)
            except RuntimeError:  # it has just been closed
                return

    threading.Thread(target=wait, daemon=True).start()


class News:
    """Wakes those that wait for something new, each once for all that has come meanwhile."""

    def __init__(self):
        self._waiting: set[asyncio.Event] = set()

    def come(self) -> None:
        for event in self._waiting:
            event.set()

    def subscribe(self) -> asyncio.Event:
        """An event of one's own; to be cleared before looking, and given to `leave`."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)
