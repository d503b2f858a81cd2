"""How quick the network to a machine of a cluster is: an observation there and an answer back, in messages as bridges have."""

import asyncio
import socket
import threading
import time

import numpy as np

from rtrl_jax.cluster import wire
from rtrl_jax.cluster.joining import Cluster, Machine

PLACED_S = 60.0  # for a machine to start a process of ours
LOOK_S = 0.5  # between two looks whether the machine is still there
TRIPS, UNCOUNTED = 500, 20
TYPES = {"frame": np.dtype("u1")}


class Echo:
    """What Ray places there."""

    def answer(self, host: str, port: int) -> None:
        """Connects, and answers each message until the connection is closed."""
        threading.Thread(target=lambda: asyncio.run(self._answer(host, port)), daemon=True).start()

    async def _answer(self, host: str, port: int) -> None:
        stream, writer = await asyncio.open_connection(host, port)
        wire.tune(writer.get_extra_info("socket"))
        try:
            while True:
                await wire.receive(stream.readexactly, TYPES)
                writer.write(wire.pack({}))
        except (EOFError, OSError):
            writer.close()


def round_trips(cluster: Cluster, machine: Machine, observation_bytes: int) -> np.ndarray | None:
    """Milliseconds [TRIPS]; None if the two do not reach each other. Raises what `cluster.gone` knows if the machine is lost."""
    actor = cluster.place(Echo, 1, machine)
    try:
        with socket.create_server((cluster.here.address, 0)) as door:
            asked, link = actor.answer.remote(*door.getsockname()[:2]), None
            until = time.monotonic() + PLACED_S
            door.settimeout(LOOK_S)
            while link is None:
                try:
                    link, _ = door.accept()
                except TimeoutError:
                    cluster.outcome(asked)
                    if time.monotonic() > until:
                        return None
        link.setblocking(False)
        wire.tune(link)
        return asyncio.run(_ask(link, np.zeros(observation_bytes, np.uint8)))
    except (OSError, EOFError):
        return None
    finally:
        cluster.kill(actor)


async def _ask(link: socket.socket, frame: np.ndarray) -> np.ndarray:
    stream, writer = await asyncio.open_connection(sock=link)
    times = []
    for _ in range(UNCOUNTED + TRIPS):
        began = time.monotonic_ns()
        writer.write(wire.pack({}, {"frame": frame}))
        await wire.receive(stream.readexactly, {})
        times.append((time.monotonic_ns() - began) / 1e6)
    writer.close()
    return np.array(times[UNCOUNTED:])
