"""The bridge beside the environment: tells the crews' machines what is new on the board, and writes on it what they answer.

It is a process of its own, with a bell that the environment rings at each boundary as it rings any other, so the environment
never waits for a network. For each connection a task sends and another receives, all in one thread: one writer for each field.
What a link cannot take is not kept for it: the next message says what is new by then. A machine that is silent for
--hang_timeout_s is gone; its bridge will come back by itself if it can.
"""

import asyncio
import hmac
import socket
import sys
import time
from contextlib import suppress

from rtrl_jax import stagger
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import STOPPING
from rtrl_jax.board.snapshots import Reader
from rtrl_jax.cluster import narrow, stream, training, wire
from rtrl_jax.cluster.clock import Offset
from rtrl_jax.cluster.doorbell import News, listen
from rtrl_jax.cluster.fields import Incoming, Link, Outgoing, types_from_crew
from rtrl_jax.page.listener import Listener
from rtrl_jax.realtime.watch import LONGEST_PARTING_S

now_ns = time.monotonic_ns
HELLO_S = 5.0  # for one that has connected to say who it is
BEAT_S = 0.1
SILENCE_S = 0.2  # a link is spoken on at least so often
PARTING_S = 1.0  # for crews to take the last word
UPDATES_S = 5.0  # for records of updates that a training state counts on
AGAIN_S = 0.1  # until the door is tried again
LOOK_S = 0.01  # between two looks at what there is to learn from
LOST = (OSError, EOFError, TimeoutError)
NONSENSE = (wire.WireError, LookupError, ValueError, TypeError)  # of who is no crew of ours


def keep_in_step(context, listener: Listener) -> None:
    """Until the run ends. Args: context: see `core.context.Context`. listener: where crews connect, with their token."""
    wire.take_right_of_way()
    asyncio.run(_Bridge(context, listener).work())


class _Bridge:
    def __init__(self, context, listener: Listener):
        self._context, self._board, self._listener = context, context.board, listener
        self._news = News()
        self._links: dict[tuple[int, str], asyncio.Task] = {}  # by crew and what they carry
        settings = context.settings
        self._algorithm = None
        if not settings.is_sequential and not stagger.by_name(settings.stagger).hands_out_tickets:
            self._algorithm = stagger.make(settings.stagger, context.board.stagger, quantile=settings.stagger_quantile)

    async def work(self) -> None:
        board, number = self._board, self._context.process.number
        for process in self._context.assembly.processes:
            if process.crew is not None:  # a bridge before this one may have died while it sent
                board.pin[process.number] = 0
        for crew in range(len(board.link)):  # nor had it time to say that nobody is heard any more
            board.link[crew, 0] = 0
            Incoming(board, self._context.assembly.crew(crew), self._announce).gone()
        if self._context.assembly.learners_crew is not None:
            self._keep_training()
        listen(Bell(board.bell[number]), self._news.come)
        loop = asyncio.get_running_loop()
        self._listener.socket.setblocking(False)
        door = loop.create_task(self._open_door())
        lifecycle.set_ready(board, number)
        while board.control[0] != STOPPING:
            self._context.beat()
            await asyncio.sleep(BEAT_S)
        self._news.come()
        if self._links:
            await asyncio.wait(self._links.values(), timeout=PARTING_S)
        await self._hear_the_last()
        door.cancel()

    async def _hear_the_last(self) -> None:
        """Of learners elsewhere, for a while: whose connection is lost meanwhile may come in again."""
        board, until, alone_until = self._board, time.monotonic() + LONGEST_PARTING_S, time.monotonic() + PARTING_S
        if self._context.assembly.learners_crew is None:
            return
        while board.training_told[0] != training.FINAL and time.monotonic() < until:
            if any(carries == "learning" for _, carries in self._links):
                alone_until = time.monotonic() + PARTING_S
            if time.monotonic() > alone_until:
                return
            await asyncio.sleep(BEAT_S)

    def _keep_training(self) -> None:
        """The slot of the last training state that was told stays as it is: at first of that which the run begins with."""
        board = self._board
        if self._context.incarnation == 0:
            board.training_told[:] = training.BEGINNING, board.latest[0], board.turn[0], board.due_at[0]
        board.pin[self._context.process.number] = board.training_told[1] + 1

    async def _open_door(self) -> None:
        loop, strangers = asyncio.get_running_loop(), set()
        while True:
            try:
                link, _ = await loop.sock_accept(self._listener.socket)
            except OSError:  # of one that has gone again, or of too many open files: others will come
                await asyncio.sleep(AGAIN_S)
                continue
            task = loop.create_task(self._attend(link))
            strangers.add(task)
            task.add_done_callback(strangers.discard)

    async def _attend(self, link: socket.socket) -> None:
        """Hears who has connected, and then keeps that connection. One without the token is not answered."""
        own = asyncio.current_task()
        link.setblocking(False)
        with link:
            try:
                async with asyncio.timeout(HELLO_S):
                    hello, _ = await wire.receive(wire.exactly(link), {})
                if not hmac.compare_digest(str(hello.get("token")).encode(), self._listener.token.encode()):
                    return
                crew, carries, incarnation = hello["crew"], hello["carries"], hello["incarnation"]
                if incarnation < Link(*self._board.link[crew].tolist()).incarnation:
                    return  # it was given up, and has a successor
                if before := self._links.get((crew, carries)):
                    before.cancel()
                    await asyncio.wait([before])
                self._links[crew, carries] = own
                kinds = {
                    "fields": self._keep_fields,
                    "snapshots": self._keep_snapshots,
                    "replay": self._keep_replay,
                    "learning": self._keep_learning,
                }
                await kinds[carries](hello, link)
            except* LOST:
                pass
            except* NONSENSE as group:
                print(f"a connection is closed: {group.exceptions}", file=sys.stderr, flush=True)
            finally:
                self._links = {key: task for key, task in self._links.items() if task is not own}

    async def _keep_fields(self, hello: dict, link: socket.socket) -> None:
        crew = hello["crew"]
        wire.tune(link)
        stream, writer = await asyncio.open_connection(sock=link)
        processes = self._context.assembly.crew(crew)
        offset = Offset(hello["now_ns"] - now_ns())
        incoming = Incoming(self._board, processes, self._announce)
        event = self._news.subscribe()
        writer.transport.set_write_buffer_limits(high=0)
        try:
            async with asyncio.TaskGroup() as group:
                ending = group.create_task(self._tell(crew, hello["incarnation"], event, offset, writer))
                hearing = group.create_task(self._hear(crew, hello["incarnation"], incoming, offset, stream, event))
                await ending
                await asyncio.wait([hearing], timeout=PARTING_S / 2)
                hearing.cancel()
        finally:
            writer.transport.abort()
            self._news.leave(event)
            self._board.link[crew, 0] = 0
            incoming.gone()
            if (
                self._board.control[0] != STOPPING
            ):  # who is not heard takes nothing either, and a slot would stay pinned for it
                for bulk in [
                    task for (other, carries), task in self._links.items() if other == crew and carries != "fields"
                ]:
                    bulk.cancel()

    async def _tell(self, crew: int, incarnation: int, event: asyncio.Event, offset: Offset, writer) -> None:
        outgoing = Outgoing(self._board, self._context.assembly, self._context.assembly.crew(crew))
        say, over = outgoing.everything, False
        while not over:
            event.clear()
            values, arrays = say()
            over, say = values["control"] == STOPPING, outgoing.news
            start_ns = int(self._board.start_ns[0]) + offset.offset_ns
            writer.write(wire.pack({**values, "start_ns": start_ns, "sent_ns": now_ns()}, arrays))
            await writer.drain()  # until the kernel has it: no message waits here behind another
            if not over:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SILENCE_S):
                        await event.wait()

    async def _hear(self, crew, incarnation, incoming: Incoming, offset: Offset, stream, event: asyncio.Event) -> None:
        patience_s, types = self._context.settings.hang_timeout_s, types_from_crew(self._context.assembly)
        while True:
            async with asyncio.timeout(patience_s):
                values, arrays = await wire.receive(stream.readexactly, types)
            back_ns = now_ns()
            if values["sent_ns"] is not None:  # the newest of our messages that it has seen, and not told of yet
                offset.note(values["sent_ns"], values["taken_ns"], values["answered_ns"], back_ns)
            if incoming.hear(arrays, offset.offset_ns, back_ns):
                event.set()
            self._board.link[crew] = Link(1, incarnation, offset.offset_ns, offset.round_trip_ns)

    def _announce(self, worker: int, tau_s: float) -> float:
        with segment.exclusive(self._context.board_fd):
            return self._algorithm.observe(worker, tau_s)

    async def _keep_snapshots(self, hello: dict, link: socket.socket) -> None:
        """Sends the newest, and once that is there the newest by then. Its slot is pinned meanwhile, in the name of the crew."""
        loop, event, sent = asyncio.get_running_loop(), self._news.subscribe(), None
        assembly = self._context.assembly
        reader = Reader(self._board, assembly.crew(hello["crew"])[0].number, lambda slot: slot)
        parts = narrow.of(assembly)
        size = sum(part.sent for part in parts)
        leaving = loop.create_task(loop.sock_recv(link, 1))  # nothing ever comes but the end
        try:
            while self._board.control[0] != STOPPING and not leaving.done():
                event.clear()
                if reader.newest_version() != sent:
                    with reader.pinned() as (sent, slot):
                        await loop.sock_sendall(link, wire.pack({"version": sent, "bytes": size}))
                        await narrow.pour(link, slot, parts)
                with suppress(TimeoutError):
                    async with asyncio.timeout(SILENCE_S):
                        await event.wait()
        finally:
            leaving.cancel()
            self._news.leave(event)

    async def _keep_replay(self, hello: dict, link: socket.socket) -> None:
        """Tells the learners' machine what there is to learn from, and once it knows all of that, what comes."""
        loop, caught_up = asyncio.get_running_loop(), False
        source = stream.Source(self._board, *hello["heads"])
        leaving = loop.create_task(loop.sock_recv(link, 1))
        try:
            while self._board.control[0] != STOPPING and not leaving.done():
                if (found := source.portion()) is not None:
                    await loop.sock_sendall(link, wire.pack(*found))
                elif not caught_up:
                    caught_up = True
                    await loop.sock_sendall(link, wire.pack({"caught_up": True}))
                await asyncio.sleep(LOOK_S if found is None else 0)
        finally:
            leaving.cancel()

    async def _keep_learning(self, hello: dict, link: socket.socket) -> None:
        """What learners begin with goes to their machine, and what they make of it comes back, until they have said the last."""
        board, number, crew = self._board, self._context.process.number, hello["crew"]
        wire.tune(link, None)
        if not hello["has_begun"]:
            reader = Reader(board, self._context.assembly.crew(crew)[0].number, lambda slot: slot)
            with reader.pinned():
                beginning = training.state(board, int(board.latest[0]), keep=lambda part: part)
                await training.send(link, beginning, training.BEGINNING)
        while True:
            values, arrays, slot = await training.receive(link, board)
            self._news.come()  # other crews are waiting for parameters
            if "wish" not in values:
                continue
            firsts, until = values["first_updates"], time.monotonic() + UPDATES_S
            while (board.update_head < firsts).any() and time.monotonic() < until:
                await asyncio.sleep(LOOK_S)
            offset_ns = Link(*board.link[crew].tolist()).offset_ns
            training.append_updates(board, firsts, arrays["updates"], offset_ns, now_ns())
            board.pin[number] = slot + 1
            board.training_told[1:] = slot, values["turn"], values["due_at"]
            board.training_told[0] = values["wish"]
            if values["wish"] == training.FINAL:
                return
