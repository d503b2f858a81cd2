"""What goes over a connection, and what is no message; clocks of two machines; how workers are spread."""

import asyncio
import random

import numpy as np
import pytest

from rtrl_jax.cluster import wire
from rtrl_jax.cluster.clock import TRIPS, Offset
from rtrl_jax.cluster.placement import spread
from rtrl_jax.errors import UserError

TYPES = {"a": np.dtype("i8"), "b": np.dtype("f4")}


def parse(message, types=TYPES):
    told, body = wire.HEAD.unpack_from(message)
    at = wire.HEAD.size
    return wire.parse(message[at : at + told], message[at + told : at + told + body], types)


def test_a_message_comes_out_as_it_went_in():
    values, arrays = parse(
        wire.pack({"x": 1, "y": None}, {"a": np.arange(6).reshape(2, 3), "b": np.zeros((0, 4), "f4")})
    )
    assert values == {"x": 1, "y": None}
    assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["b"].shape == (0, 4)


@pytest.mark.parametrize(
    ("told", "body"),
    [
        (b"[1, {}]", b""),
        (b'[{}, {"a": [2]}]', b"12345678"),
        (b'[{}, {"a": [1]}]', b"123456789"),
        (b'[{}, {"c": [1]}]', b"12345678"),
        (b'[{}, {"a": ["x"]}]', b""),
        (b'[{}, {"a": [-1]}]', b"12345678"),
        (b"[" * 10_000, b""),
        (b"\xff", b""),
        (b"[{}]", b""),
    ],
)
def test_what_is_none_is_refused(told, body):
    with pytest.raises(wire.WireError):
        wire.parse(told, body, TYPES)


@pytest.mark.parametrize("head", [(1 << 30, 0), (10, 1)])
def test_a_message_too_long_is_refused_before_it_is_read(head):
    """Where no arrays are expected, as of a stranger who says hello, one byte of them is too long."""

    async def hear():
        stream = asyncio.StreamReader()
        stream.feed_data(wire.HEAD.pack(*head))
        stream.feed_eof()
        await wire.receive(stream.readexactly, {})

    with pytest.raises(wire.WireError):
        asyncio.run(hear())


def test_the_offset_of_a_clock_is_right_to_within_its_uncertainty_whatever_the_delays():
    rng, true = random.Random(0), 123_456_789_000
    offset = Offset(0)
    for now in range(0, 10 * TRIPS * 16_000_000, 16_000_000):
        there, thinking, back = (rng.expovariate(1 / 300_000) for _ in range(3))
        taken = now + there + true
        offset.note(now, int(taken), int(taken + thinking), int(now + there + thinking + back))
    assert abs(offset.offset_ns - true) <= offset.round_trip_ns / 2 + 2
    assert offset.round_trip_ns < 200_000


def test_a_clock_that_drifts_is_followed():
    offset = Offset(0)
    for now in range(0, 4 * TRIPS * 16_000_000, 16_000_000):
        ahead = int(now * 50e-6)
        offset.note(now, now + 100_000 + ahead, now + 150_000 + ahead, now + 250_000)
    assert abs(offset.offset_ns - ahead) < 250_000


def test_the_own_machine_is_filled_first_and_then_no_more_machines_than_it_takes():
    assert spread(3, 1, here=1, machines=[2, 2]) == [2, 0]
    assert spread(4, 1, here=1, machines=[2, 2]) == [2, 1]
    assert spread(2, 1, here=3, machines=[2]) == [0]
    assert spread(20, 8, here=0, machines=[2, 2]) == [16, 4]
    with pytest.raises(UserError, match="cores for 5, 1 of them beside the environment"):
        spread(6, 1, here=1, machines=[2, 2])
