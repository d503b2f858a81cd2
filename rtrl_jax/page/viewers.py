"""Those who look at a page. Each has a bounded queue and says what it has seen; who falls behind is dropped, never waited for."""

import asyncio
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from rtrl_jax.page.messages import parse

MOST_VIEWERS = 16
MOST_UNSEEN = 64  # messages on the way to one viewer: some four seconds of a live page
CLOSING_S = 0.5
SEEN = {"seen": {"number": int}}
BAD_MESSAGE, TOO_SLOW, TOO_MANY, GOING = 1008, 4001, 4002, 1001  # codes that a connection is closed with


class Viewer:
    """One connection. `sent` and `seen` count messages."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.sent = self.seen = 0
        self.dropped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def offer(self, message: bytes) -> None:
        """Queues a message; drops the viewer if too many are on the way already."""
        if self.dropped.done():
            return
        if self.sent - self.seen >= MOST_UNSEEN:
            self.drop(TOO_SLOW)
            return
        self.sent += 1
        self.queue.put_nowait(message)

    def saw(self, number: int) -> None:
        """Raises ValueError if it cannot have."""
        if not self.seen <= number <= self.sent:
            raise ValueError("never sent")
        self.seen = number

    def drop(self, code: int) -> None:
        if not self.dropped.done():
            self.dropped.set_result(code)


class Viewers:
    """All connections of a page."""

    def __init__(self, most: int = MOST_VIEWERS):
        self._most = most
        self.all: set[Viewer] = set()

    def broadcast(self, message: bytes) -> None:
        for viewer in self.all:
            viewer.offer(message)

    def close(self) -> None:
        """Lets everybody go, once what is queued is sent."""
        for viewer in self.all:
            viewer.queue.put_nowait(None)

    async def attend(self, socket: WebSocket, greeting, kinds: dict, hear=lambda viewer, message: None) -> None:
        """Serves a connection to its end.

        Args:
          greeting: () -> the first message.
          kinds: what it may send besides SEEN, see `messages.parse`.
          hear: called with the viewer and what it sent; and with None when it has gone.
        """
        await socket.accept()
        if len(self.all) >= self._most:
            await socket.close(TOO_MANY)
            return
        viewer = Viewer()
        viewer.offer(greeting())
        self.all.add(viewer)
        tasks = [
            asyncio.create_task(_send(socket, viewer)),
            asyncio.create_task(_receive(socket, viewer, SEEN | kinds, hear)),
        ]
        try:
            await asyncio.wait([*tasks, viewer.dropped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.all.discard(viewer)
            hear(viewer, None)
            for task in tasks:
                task.cancel()
        code = viewer.dropped.result() if viewer.dropped.done() else GOING
        with suppress(Exception):  # it may be gone already, or take nothing any more
            await asyncio.wait_for(socket.close(code), CLOSING_S)


async def _send(socket: WebSocket, viewer: Viewer) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while (message := await viewer.queue.get()) is not None:
            await socket.send_bytes(message)


async def _receive(socket: WebSocket, viewer: Viewer, kinds: dict, hear) -> None:
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            return
        try:
            message = parse(event.get("text"), kinds)
            if message["type"] == "seen":
                viewer.saw(message["number"])
            else:
                hear(viewer, message)
        except ValueError:
            viewer.drop(BAD_MESSAGE)
            return
