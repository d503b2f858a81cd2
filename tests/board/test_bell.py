"""The bell wakes a waiter at once and never loses a ring."""

import threading
import time

import numpy as np

from rtrl_jax.board.bell import Bell


def test_a_ring_before_the_wait_is_not_lost():
    bell = Bell(np.zeros(1, np.uint32))
    seen = bell.count()
    bell.ring()
    began = time.monotonic()
    bell.wait(seen, 5)
    assert time.monotonic() - began < 1


def test_a_ring_ends_the_wait():
    bell = Bell(np.zeros(1, np.uint32))
    seen = bell.count()
    threading.Timer(0.1, bell.ring).start()
    began = time.monotonic()
    bell.wait(seen, 5)
    assert bell.count() == seen + 1
    assert time.monotonic() - began < 2


def test_without_a_ring_it_returns_after_the_timeout():
    bell = Bell(np.zeros(1, np.uint32))
    began = time.monotonic()
    bell.wait(bell.count(), 0.2)
    assert time.monotonic() - began >= 0.19
