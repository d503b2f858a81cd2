"""The wall-clock driver with small loops of its own: order, sharing a process, bells, and the end of a run."""

import threading
import time
from types import SimpleNamespace

import numpy as np

from rtrl_jax.board.bell import Bell
from rtrl_jax.realtime.drive import drive, now_ns
from rtrl_jax.workers.effects import Infer, Learn, NextBoundary, Sleep, WaitBell


def run(loops, bell=None, running=lambda: True, **kwargs):
    bell = bell or Bell(np.zeros(1, np.uint32))
    drive(loops, bell=bell, running=running, beat=lambda step: None, **kwargs)


def test_a_boundary_is_never_early_and_hardly_late():
    lateness = []

    def loop():
        due = now_ns() + 20_000_000
        for _ in range(20):
            lateness.append((yield NextBoundary(due)) - due)
            due += 5_000_000

    run([loop()])
    assert len(lateness) == 20
    assert min(lateness) >= 0
    assert np.quantile(lateness, 0.25) < 5_000_000  # on a machine that does much else, too


def test_emulated_inferences_of_one_process_overlap_and_last_as_long_as_they_should():
    spans = []

    def loop():
        spans.append((yield Infer(lambda: SimpleNamespace(greedy=True))))

    began = time.monotonic()
    run([loop() for _ in range(20)], emulate=lambda number, greedy: 200_000_000)
    assert time.monotonic() - began < 2
    assert all(span.end_ns - span.start_ns == 200_000_000 for span in spans)


def test_exploration_is_not_emulated():
    spans = []

    def loop():
        spans.append((yield Infer(lambda: SimpleNamespace(greedy=False))))

    run([loop()], emulate=lambda number, greedy: 10_000_000_000 if greedy else 0)
    assert spans[0].end_ns - spans[0].start_ns < 1_000_000_000


def test_a_bell_wakes_only_who_listens():
    bell, woken = Bell(np.zeros(1, np.uint32)), {}

    def listener():
        yield WaitBell(now_ns() + 5_000_000_000)
        woken["listener"] = time.monotonic()

    def sleeper():
        yield Sleep(now_ns() + 400_000_000)
        woken["sleeper"] = time.monotonic()

    began = time.monotonic()
    threading.Timer(0.1, bell.ring).start()
    run([listener(), sleeper()], bell)
    assert woken["listener"] - began < 0.35
    assert woken["sleeper"] - began >= 0.4


def test_a_computation_s_length_is_told_with_the_heartbeat():
    beats = []

    def loop():
        yield Learn(lambda: time.sleep(0.05))

    drive([loop()], bell=Bell(np.zeros(1, np.uint32)), running=lambda: True, beat=beats.append)
    assert 50_000_000 <= max(beats) < 5_000_000_000


def test_a_bell_that_never_rings_is_given_up_at_its_time():
    def loop():
        yield WaitBell(now_ns() + 100_000_000)

    began = time.monotonic()
    run([loop()])
    assert 0.1 <= time.monotonic() - began < 1


def test_when_the_run_ends_a_loop_at_a_boundary_learns_of_it_and_long_waits_are_cut_short():
    ended = []

    def world():
        if (yield NextBoundary(now_ns() + 60_000_000_000)) is None:
            ended.append("world")

    def worker():
        yield Sleep(now_ns() + 60_000_000_000)
        ended.append("worker")

    began = time.monotonic()
    run([world(), worker()], running=lambda: time.monotonic() - began < 0.3)
    assert ended == ["world"]
    assert time.monotonic() - began < 1.5


def test_what_has_been_computed_when_the_run_ends_is_still_told_and_nothing_more_is_computed():
    told, computed = [], []

    def worker(effect):
        for number in range(2):
            yield effect(lambda number=number: computed.append(number) or SimpleNamespace(greedy=True))
            told.append(effect)

    loops = [worker(Learn), worker(Infer)]
    run(loops, running=lambda: False, emulate=lambda number, greedy: 60_000_000_000)
    assert told == [Learn, Infer]
    assert computed == [0, 0]
