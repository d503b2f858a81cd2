"""Messages between two bridges: a few plain values and arrays by name. Their types are agreed on, and nothing is unpickled."""

import asyncio
import json
import math
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import numpy as np

HEAD = struct.Struct("<II")  # bytes of the values, in JSON, and of the arrays behind them
LONGEST_VALUES, LARGEST_ARRAYS = 1 << 16, 1 << 28
CHUNK = 1 << 18  # bytes of a snapshot between two looks at what else there is to send
SEND_BUFFER = 1 << 18  # what waits in the kernel of a link that stalls is out of date
UNSENT_MS = 10_000  # after which the kernel gives up a connection whose other end takes nothing
QUIET_S = 5  # after which it asks the other end of one on which nothing is said whether it is there


BRIDGE_PRIORITY = 40  # of a real-time process; the environment's is above it


def take_right_of_way() -> None:
    """If this process may: a bridge does little, and a decision waits for it at each of its steps. Its threads inherit it."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(BRIDGE_PRIORITY))


class WireError(Exception):
    """What came is no message of ours."""


def tune(link: socket.socket, buffered: int | None = SEND_BUFFER) -> None:
    """For small messages that must not wait. Args: buffered: bytes that the kernel may hold back, or as it thinks best."""
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # who only listens hears of a machine that is gone, too
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, QUIET_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    if buffered is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffered)


def pack(values: dict, arrays: dict[str, np.ndarray] | None = None) -> bytes:
    """Args: values: what JSON can hold."""
    arrays = arrays or {}
    told = json.dumps([values, {name: array.shape for name, array in arrays.items()}]).encode()
    body = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    return b"".join([HEAD.pack(len(told), sum(map(len, body))), told, *body])


async def receive(read: Callable, types: dict[str, np.dtype]) -> tuple[dict, dict[str, np.ndarray]]:
    """The next message.

    Args:
      read: (bytes wanted) -> them, awaited: `readexactly` of a stream, or `exactly` of a socket.
      types: of the arrays that may come.

    Raises:
      WireError: it is none.
      EOFError: the connection has ended.
    """
    told, body = HEAD.unpack(await read(HEAD.size))
    if told > LONGEST_VALUES or body > (LARGEST_ARRAYS if types else 0):
        raise WireError(f"a message of {told} + {body} bytes")
    return parse(await read(told), await read(body), types)


def exactly(link: socket.socket) -> Callable:
    """What reads from a socket as `readexactly` does from a stream, and leaves in it what comes after."""

    async def read(count: int) -> bytes:
        found = bytearray(count)
        await fill(link, memoryview(found))
        return bytes(found)

    return read


async def pour(link: socket.socket, memory: np.ndarray) -> None:
    """Sends bytes from where they are, and lets others of this thread have their turn in between."""
    loop = asyncio.get_running_loop()
    for begin in range(0, len(memory), CHUNK):
        await loop.sock_sendall(link, memory[begin : begin + CHUNK])
        await asyncio.sleep(0)  # what is sent without having to wait would keep all else waiting


async def fill(link: socket.socket, memory: memoryview) -> None:
    """Receives so many bytes, in place. Raises EOFError."""
    loop, at = asyncio.get_running_loop(), 0
    while at < len(memory):
        count = await loop.sock_recv_into(link, memory[at:])
        if not count:
            raise EOFError
        at += count


def parse(told: bytes, body: bytes, types: dict[str, np.dtype]) -> tuple[dict, dict[str, np.ndarray]]:
    """The two parts of a message, see `receive`; its arrays cannot be written to."""
    try:
        values, shapes = json.loads(told)
        arrays, at = {}, 0
        for name, shape in shapes.items():
            if min(shape, default=0) < 0:
                raise ValueError("a negative length")
            count = math.prod(shape)
            arrays[name] = np.frombuffer(body, types[name], count, at).reshape(shape)
            at += arrays[name].nbytes
        if at != len(body) or not isinstance(values, dict):
            raise ValueError("more, or less, than it says")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError(str(error)) from None
    return values, arrays
