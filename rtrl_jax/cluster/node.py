"""The bridge on a crew's machine, a process of its own: makes a board, starts the crew on it, and keeps it in step with `home`.

Begun by `host` with a message on standard input. On standard output it says what goes wrong, a JSON object a line. It ends when
the run does, when its host does, or when the environment's machine is not reached any more; and whatever ends it, its crew ends
with it and the memory of its board, which has no name, is free.
"""

import asyncio
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from rtrl_jax import topology
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import STOPPING, Board, size
from rtrl_jax.board.snapshots import Mirror, Reader
from rtrl_jax.cluster import narrow, stream, training, wire
from rtrl_jax.cluster.doorbell import News, listen
from rtrl_jax.cluster.fields import Follower, types_to_crew
from rtrl_jax.core.assembly import Assembly, Process
from rtrl_jax.core.one_thread import die_with
from rtrl_jax.realtime import message as messages
from rtrl_jax.realtime.process import Child
from rtrl_jax.realtime.watch import LONGEST_PARTING_S, Place, Watch, pass_turn_of_the_dead
from rtrl_jax.workers.learner import NOT_BEGUN

now_ns = time.monotonic_ns
PREFIX = "rtrl_jax-bridge-"  # of its folder's name, and its number
CONNECT_S, AGAIN_S = 3.0, 0.1
RECONNECT_S = 10.0  # beyond --hang_timeout_s of silence
LOOK_S = 0.1  # between two looks at the crew
LOOK_AT_PARAMETERS_S = 0.005  # between two looks whether there are newer ones
NO_ROOM_S = 0.001  # until a slot that readers hold is looked at again


def main() -> None:
    told = json.load(sys.stdin)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    die_with(told["supervisor"])
    _sweep()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        try:
            asyncio.run(_Bridge(told, pathlib.Path(folder)).work())
        except OSError as error:
            _say(name=told["machine"], reason=f"could not go on: {error}")
            sys.exit(1)


def _sweep() -> None:
    """Away with the folders of bridges that were killed."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not pathlib.Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def crew_assembly(assembly: Assembly, crew: int, cores: list[int]) -> Assembly:
    """The assembly as a crew's machine has it: its processes on its cores; without learners no replay, nor what they learn with.

    Args: cores: of that machine, given out from the last, as the first is where its system and Ray have most to do.
    """
    dimensions = dataclasses.replace(assembly.dimensions, pictures=0)
    if crew != assembly.learners_crew:
        learning = (
            "learners",
            "optimiser_bytes",
            "priority_nodes",
            "demonstration_nodes",
            "transitions",
            "kept_frames",
        )
        dimensions = dataclasses.replace(dimensions, **dict.fromkeys(learning, 0))
    places = iter(range(len(assembly.processes)))
    processes = tuple(
        dataclasses.replace(process, core=cores[-1 - next(places) % len(cores)]) if process.crew == crew else process
        for process in assembly.processes
    )
    return dataclasses.replace(assembly, dimensions=dimensions, processes=processes)


class _Bridge:
    def __init__(self, told: dict, folder: pathlib.Path):
        self._told, self._folder = told, folder
        assembly, cores = messages.read_assembly(told), topology.cores()
        self._assembly = crew_assembly(assembly, told["crew"], cores)
        self._crew: list[Process] = self._assembly.crew(told["crew"])
        free = set(cores) - {process.core for process in self._crew}
        os.sched_setaffinity(0, free or set(cores))
        self._has_a_core = bool(free)
        self._descriptor, _ = segment.create(size(self._assembly.dimensions), folder)
        self._board = Board(self._assembly.dimensions, segment.attach(self._descriptor))
        self._board.latest[0], self._board.due_at[0] = -1, NOT_BEGUN
        self._follower = Follower(self._board, self._crew)
        self._bells = {process.number: Bell(self._board.bell[process.number]) for process in self._crew}
        self._watch = Watch(
            self._assembly, self._board, self._crew, self._spawn, self._fail, LOOK_S, told["incarnation"] - 1
        )
        self._news, self._trip, self._heard_at = News(), None, time.monotonic()
        self._snapshot = asyncio.Event()  # there is one; and of what is learned from all that there was
        self._learns = told["crew"] == assembly.learners_crew
        self._turn_lock = threading.Lock()  # the kernel's lock does not tell the threads of a process apart
        self._has_begun = False  # learners have been told what to begin with
        self._caught_up = asyncio.Event()
        self._wish = training.BEGINNING  # for a training state, that has not been fulfilled
        self._parting = False  # learners have ended

    async def work(self) -> None:
        """Until the run ends, or nobody can be reached."""
        thread = ThreadPoolExecutor(1)
        thread.submit(
            os.getpid
        ).result()  # begun before this one has the right of way: what it starts must not inherit that
        if self._has_a_core:  # receiving a large snapshot on a worker's core would keep it from inferring
            wire.take_right_of_way()
        listen(Bell(self._board.bell[0]), self._news.come)
        async with asyncio.TaskGroup() as group:
            bulk = [self._take_replay] if self._learns else [self._take_snapshots]
            others = [group.create_task(self._keep(talk)) for talk in bulk]
            others.append(group.create_task(self._look_after_crew(thread)))
            learning = group.create_task(self._keep_learning()) if self._learns else None
            await self._keep(self._follow)
            lifecycle.stop(self._board)
            for bell in self._bells.values():
                bell.ring()
            for task in others:
                task.cancel()
            await asyncio.get_running_loop().run_in_executor(thread, self._watch.end)
            self._parting = True
            if learning:
                await asyncio.wait([learning], timeout=LONGEST_PARTING_S)
                learning.cancel()

    async def _keep(self, talk: Callable) -> None:
        """Connects, and connects again when the connection is lost, until the run ends."""
        while self._board.control[0] != STOPPING:
            await self._connect(talk)
            if time.monotonic() - self._heard_at > self._assembly.settings.hang_timeout_s + RECONNECT_S:
                _say(name=self._told["machine"], reason="does not reach the environment's machine any more")
                self._board.control[0] = STOPPING
            await asyncio.sleep(AGAIN_S)

    async def _connect(self, talk: Callable) -> bool:
        """Whether all was said."""
        with suppress(OSError, EOFError, TimeoutError, wire.WireError), socket.socket() as link:
            link.setblocking(False)
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(link, tuple(self._told["home"]))
            await talk(link)
            return True
        return False

    def _hello(self, carries: str, **more) -> bytes:
        told = {name: self._told[name] for name in ("token", "crew", "incarnation")}
        return wire.pack({**told, "carries": carries, "now_ns": now_ns(), **more})

    async def _follow(self, link: socket.socket) -> None:
        wire.tune(link)
        stream, writer = await asyncio.open_connection(sock=link)
        writer.write(self._hello("fields"))
        types = types_to_crew(self._assembly)
        values, arrays = await self._heard(stream, types)
        self._follower.enter(values, arrays, values["start_ns"])
        self._hear_wish(values)
        event = self._news.subscribe()
        speaking = asyncio.get_running_loop().create_task(self._speak(event, writer))
        event.set()
        try:
            while self._board.control[0] != STOPPING and not speaking.done():
                values, arrays = await self._heard(stream, types)
                woken = self._follower.follow(values, arrays, values["start_ns"])
                self._hear_wish(values)
                if self._assembly.settings.head_is_late:
                    woken |= self._follower.holding()
                for number in woken:
                    self._bells[number].ring()
                event.set()
        finally:
            writer.transport.abort()
            self._news.leave(event)
            speaking.cancel()

    async def _heard(self, stream, types) -> tuple[dict, dict]:
        async with asyncio.timeout(self._assembly.settings.hang_timeout_s):
            values, arrays = await wire.receive(stream.readexactly, types)
        self._trip, self._heard_at = (values["sent_ns"], now_ns()), time.monotonic()
        return values, arrays

    async def _speak(self, event: asyncio.Event, writer) -> None:
        """Says what there is to say whenever something has been decided, or heard: each message says when the last one came."""
        writer.transport.set_write_buffer_limits(high=0)
        while True:
            await event.wait()
            event.clear()
            (sent_ns, taken_ns), self._trip = self._trip or (None, None), None
            arrays = self._follower.says()
            values = {"sent_ns": sent_ns, "taken_ns": taken_ns, "answered_ns": now_ns()}
            writer.write(wire.pack(values, arrays))
            await writer.drain()

    async def _take_snapshots(self, link: socket.socket) -> None:
        await asyncio.get_running_loop().sock_sendall(link, self._hello("snapshots"))
        mirror, read, parts = Mirror(self._board), wire.exactly(link), narrow.of(self._assembly)
        while True:
            values, _ = await wire.receive(read, {})
            if values["bytes"] != sum(part.sent for part in parts):
                raise wire.WireError(f"a snapshot of {values['bytes']} bytes")
            while (slot := mirror.room()) is None:
                await asyncio.sleep(NO_ROOM_S)
            await narrow.fill(link, self._board.slots[slot], parts)
            mirror.commit(slot, values["version"])
            self._snapshot.set()

    def _hear_wish(self, values: dict) -> None:
        wanted, fulfilled = values["training"]
        self._wish = wanted if wanted > fulfilled else training.BEGINNING

    async def _take_replay(self, link: socket.socket) -> None:
        """What there is to learn from."""
        sink, kinds, read = stream.Sink(self._board), stream.types(self._board), wire.exactly(link)
        await asyncio.get_running_loop().sock_sendall(link, self._hello("replay", heads=sink.heads))
        while True:
            values, arrays = await wire.receive(read, kinds)
            sink.take(values, arrays)
            if values.get("caught_up"):
                self._caught_up.set()
                self._begin_if_complete()
            await asyncio.sleep(0)

    def _begin_if_complete(self) -> None:
        if self._has_begun and self._caught_up.is_set():
            self._snapshot.set()

    async def _keep_learning(self) -> None:
        """Until the last training state has been told, or cannot be any more."""
        given_up = None
        while not await self._connect(self._tell_learning):
            if self._parting:
                given_up = given_up or time.monotonic() + CONNECT_S
                if time.monotonic() > given_up or not self._has_begun:
                    return
            await asyncio.sleep(AGAIN_S)

    async def _tell_learning(self, link: socket.socket) -> None:
        """The newest parameters, again and again, and a whole training state if one is wanted."""
        loop, board = asyncio.get_running_loop(), self._board
        wire.tune(link, None)
        await loop.sock_sendall(link, self._hello("learning", has_begun=self._has_begun))
        sent, fulfilled = None, training.BEGINNING  # on this connection
        if not self._has_begun:
            await training.receive(link, board, draws=True)
            self._has_begun = True
            self._begin_if_complete()
        reader = Reader(
            board, self._assembly.bridge, lambda slot: slot
        )  # in the name of one that is not on this machine
        leaving = loop.create_task(loop.sock_recv(link, 1))
        try:
            while not leaving.done():
                wish = training.FINAL if self._parting else self._wish
                if wish not in (training.BEGINNING, fulfilled):
                    state = await loop.run_in_executor(None, self._copy_training)
                    await training.send(link, state, wish)
                    sent, fulfilled = state.values["version"], wish
                elif reader.newest_version() != sent:
                    with reader.pinned() as (sent, slot):
                        await training.send_parameters(link, board, sent, slot)
                else:
                    await asyncio.sleep(LOOK_AT_PARAMETERS_S)
            if fulfilled != training.FINAL:
                raise EOFError
        finally:
            leaving.cancel()

    def _copy_training(self) -> training.State:
        with self._turn_lock, segment.exclusive(self._descriptor, segment.TURN):
            return training.state(self._board, int(self._board.latest[0]))

    async def _look_after_crew(self, thread: ThreadPoolExecutor) -> None:
        """In one thread that lasts as long as this process, for what it starts dies with the thread that started it."""
        await self._snapshot.wait()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, self._watch.start)
        while self._watch.fatal is None:
            await asyncio.sleep(LOOK_S)
            await loop.run_in_executor(thread, self._watch.look)
            if self._learns:
                passing = (self._board, self._assembly.learners, self._descriptor, self._turn_lock)
                await loop.run_in_executor(thread, pass_turn_of_the_dead, *passing)
        _say(name=self._told["machine"], reason=self._watch.fatal, fatal=True)
        self._board.control[0] = STOPPING

    def _spawn(self, place: Place) -> Child:
        process = place.process
        text = messages.write(self._assembly, process, self._descriptor, place.incarnation)
        lifecycle.beat(self._board, process.number, now_ns())
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        return Child(process, text, (self._descriptor,), logs / f"{process.name.replace(' ', '-')}.log")

    def _fail(self, name: str, reason: str, *, trace: str = "", replaced: bool = False) -> None:
        _say(name=name, reason=reason, trace=trace, replaced=replaced)


def _say(**event) -> None:
    with suppress(OSError):
        print(json.dumps(event), flush=True)
