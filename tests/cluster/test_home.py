"""The bridge beside the environment, with crews that are only sockets: who is let in, and what one that falls silent holds."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest
from ray_nodes import wait_for

from rtrl_jax.board import segment
from rtrl_jax.board.layout import STOPPING, Board, size
from rtrl_jax.board.snapshots import Publisher
from rtrl_jax.cluster import training, wire
from rtrl_jax.cluster.fields import Link
from rtrl_jax.cluster.home import BEAT_S, keep_in_step
from rtrl_jax.core.assembly import by_cores, lay_board
from rtrl_jax.core.context import Context
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.page.listener import Listener
from rtrl_jax.settings import Settings

SPEC = Spec((2, 2, 1), "uint8", 6, 0, 60.0, 1e-5)
LARGE = 16 << 20  # bytes of a snapshot: more than a connection holds


class Bridge:
    """One that runs in a thread, on a board with version 0 of large parameters."""

    def __init__(self, before=lambda assembly, board: None, learners_crew=None):
        """Args: before: what is done to the board before the bridge begins."""
        settings = Settings(cores="0", learner_workers="1", hang_timeout_s=1.0)
        numbers = {"inference_workers": 2, "learner_workers": 1, "capacity": 4096, "transitions": 100}
        model = Model(settings, SPEC, "nature", 1.0)
        parameters = [np.zeros(LARGE // 4, np.float32)]
        self.assembly = lay_board(
            model, by_cores(settings, 2, 1, (1, 1), learners_crew), parameters, (), parameters, **numbers
        )
        self.board = Board(self.assembly.dimensions, segment.private(size(self.assembly.dimensions)))
        self.board.latest[0] = -1
        publisher = Publisher(self.board, self.assembly.leaves, self.assembly.optimiser_leaves)
        publisher.publish(parameters, 0, parameters, target=True)
        before(self.assembly, self.board)
        door = socket.create_server(("127.0.0.1", 0))
        self.address = door.getsockname()
        context = Context(self.assembly, self.assembly.processes[self.assembly.bridge], self.board)
        bridge = (context, Listener(door, "127.0.0.1", "secret"))
        self._thread = threading.Thread(target=keep_in_step, args=bridge, daemon=True)
        self._thread.start()

    @property
    def pins(self):
        return [int(self.board.pin[self.assembly.crew(crew)[0].number]) for crew in (0, 1)]

    @contextlib.contextmanager
    def connected(self, carries, crew=0, incarnation=1, token="secret"):
        """Yields a connection on which hello has been said."""
        hello = {"token": token, "crew": crew, "incarnation": incarnation, "carries": carries}
        with socket.create_connection(self.address) as link:
            link.sendall(wire.pack({**hello, "now_ns": time.monotonic_ns()}))
            link.settimeout(5)
            yield link

    def end(self):
        self.board.control[0] = STOPPING
        self._thread.join(5)
        assert not self._thread.is_alive()


@pytest.fixture
def bridge(monkeypatch):
    monkeypatch.setattr("rtrl_jax.cluster.wire.take_right_of_way", lambda: None)
    found = Bridge()
    yield found
    found.end()


def values_of(link):
    """Of the next message, as far as it needs reading."""
    told, body = wire.HEAD.unpack(link.recv(wire.HEAD.size, socket.MSG_WAITALL))
    values, _ = json.loads(link.recv(told, socket.MSG_WAITALL))
    link.recv(body, socket.MSG_WAITALL)
    return values


def is_closed(link):
    with contextlib.suppress(ConnectionResetError):
        return link.recv(1) == b""
    return True


def test_one_without_the_token_and_one_that_has_a_successor_are_told_nothing(bridge):
    with bridge.connected("fields", token="other") as stranger:
        assert is_closed(stranger)
    bridge.board.link[0] = Link(0, incarnation=2)
    with bridge.connected("fields", incarnation=1) as former:
        assert is_closed(former)
    with bridge.connected("fields", incarnation=2) as present:
        assert values_of(present)["first"] == 0


def test_a_snapshot_that_a_silent_crew_does_not_take_is_not_pinned_for_ever(bridge):
    with bridge.connected("fields", crew=1), bridge.connected("snapshots", crew=1) as link:
        assert values_of(link) == {"version": 0, "bytes": LARGE}
        wait_for(lambda: bridge.pins == [0, 1], 5)
        wait_for(lambda: bridge.pins == [0, 0], 5)


def test_a_new_bridge_believes_nothing_of_what_a_killed_one_had_heard(monkeypatch):
    monkeypatch.setattr("rtrl_jax.cluster.wire.take_right_of_way", lambda: None)

    def heard(assembly, board):
        board.link[1] = Link(1, incarnation=1)
        board.idle[1], board.ready[assembly.crew(1)[0].number] = 1, 1

    bridge = Bridge(heard)
    board, number = bridge.board, bridge.assembly.crew(1)[0].number
    wait_for(lambda: board.ready[bridge.assembly.bridge], 5)
    assert (board.link[1, 0], board.idle[1], board.ready[number]) == (0, 0, 0)
    assert board.link[1, 1] == 1, "it is still known who may come in"
    bridge.end()


def test_one_that_has_gone_again_does_not_shut_the_door(monkeypatch):
    monkeypatch.setattr("rtrl_jax.cluster.wire.take_right_of_way", lambda: None)
    accept, failures = asyncio.SelectorEventLoop.sock_accept, [ConnectionAbortedError, OSError]

    async def unlucky(loop, door):
        if failures:
            raise failures.pop()
        return await accept(loop, door)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_accept", unlucky)
    bridge = Bridge()
    with bridge.connected("fields") as link:
        assert values_of(link)["first"] == 0
    assert not failures
    bridge.end()


def test_the_last_state_may_come_over_a_connection_made_after_the_end(monkeypatch):
    monkeypatch.setattr("rtrl_jax.cluster.wire.take_right_of_way", lambda: None)
    bridge = Bridge(learners_crew=0)
    board = bridge.board
    wait_for(lambda: board.ready[bridge.assembly.bridge], 5)
    board.control[0] = STOPPING
    time.sleep(2.5 * BEAT_S)  # the bridge has seen that
    hello = {"token": "secret", "crew": 0, "incarnation": 1, "carries": "learning", "has_begun": True}

    async def tell():
        with socket.create_connection(bridge.address) as link:
            link.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(link, wire.pack({**hello, "now_ns": 0}))
            await training.send(link, training.state(board, int(board.latest[0])), training.FINAL)
            await asyncio.get_running_loop().sock_recv(link, 1)  # until it is closed

    asyncio.run(asyncio.wait_for(tell(), 10))
    assert board.training_told[0] == training.FINAL
    bridge.end()


def test_a_run_whose_learners_are_lost_does_not_wait_for_their_last_word(monkeypatch):
    monkeypatch.setattr("rtrl_jax.cluster.wire.take_right_of_way", lambda: None)
    bridge = Bridge(learners_crew=0)
    wait_for(lambda: bridge.board.ready[bridge.assembly.bridge], 5)
    bridge.end()  # within five seconds
    assert bridge.board.training_told[0] != training.FINAL
