"""Rehearsals: over before a ticket can come, seldom enough, counted, and only by a worker that has its core to itself."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from rtrl_jax.board.bell import Bell
from rtrl_jax.board.records import TICK
from rtrl_jax.board.ring import Observations
from rtrl_jax.core.assembly import Process
from rtrl_jax.realtime import drive as driving
from rtrl_jax.realtime import rehearsal
from rtrl_jax.realtime.drive import drive, now_ns
from rtrl_jax.realtime.rehearsal import LONGEST_NS, MARGIN_NS, MOST, Rehearsals, may_rehearse
from rtrl_jax.settings import Settings
from rtrl_jax.workers.effects import WaitBell

TICK_NS, WORK_NS = 16_700_000, 300_000


class Stage:
    """Rehearsals that take as long as told, on a clock that only they move."""

    def __init__(self, monkeypatch, takes_ns):
        self.now, self.takes_ns, self.noted = 0, takes_ns, np.zeros(2, np.int64)
        monkeypatch.setattr(rehearsal, "now_ns", lambda: self.now)
        self.observations = Observations(np.zeros(1, np.int64), np.zeros(4, TICK), np.zeros((4, 1)))
        self.rehearsals = Rehearsals(self._once, self.observations, TICK_NS, self.noted, takes_ns)

    def _once(self):
        self.now += self.takes_ns

    def boundary(self, number):
        row = np.zeros((), TICK)
        row["tick"], row["boundary_ns"] = number, number * TICK_NS
        row["published_ns"] = number * TICK_NS + WORK_NS + number % 3 * 1000
        self.observations.publish(0, row)
        self.now = max(self.now, int(row["published_ns"]))

    def wait(self):
        """Until nothing more fits before the next boundary."""
        begin = self.rehearsals.begin_ns(self.now)
        while begin < math.inf:
            self.now = max(self.now, round(begin))
            self.rehearsals.make()
            begin = self.rehearsals.begin_ns(self.now)


@pytest.mark.parametrize("takes_ns", [50_000, 600_000, 3_000_000])
def test_they_are_over_just_before_the_next_ticket_can_come_and_take_a_small_part_of_the_tick(monkeypatch, takes_ns):
    stage = Stage(monkeypatch, takes_ns)
    for number in range(5):
        before = stage.noted.copy()
        stage.boundary(number)
        stage.wait()
        over = (number + 1) * TICK_NS + WORK_NS - MARGIN_NS
        assert over - takes_ns < stage.now <= over
        made, took = stage.noted - before
        assert took == made * takes_ns
        assert 1 <= made <= MOST
        assert took <= LONGEST_NS
    assert stage.rehearsals.begin_ns(5 * TICK_NS + WORK_NS) == math.inf  # a boundary that is late is waited for


def test_one_that_was_held_up_does_not_end_them(monkeypatch):
    stage = Stage(monkeypatch, takes_ns=500_000)
    for number in range(12):
        stage.takes_ns = 9_000_000 if number == 3 else 500_000
        before = stage.noted[0]
        stage.boundary(number)
        stage.wait()
        assert stage.noted[0] > before


def test_what_does_not_fit_is_not_begun(monkeypatch):
    stage = Stage(monkeypatch, takes_ns=TICK_NS)
    assert stage.rehearsals.begin_ns(0) == math.inf  # before the first boundary nobody knows when the next is
    stage.boundary(0)
    stage.wait()
    assert stage.noted[0] == 0


def test_it_is_made_while_the_bell_is_waited_for_and_the_loop_goes_on_when_it_rings():
    word, order = np.zeros(16, np.uint32), []

    class Once:
        def begin_ns(self, now):
            return now if not order else math.inf

        def make(self):
            order.append("rehearsal")
            Bell(word).ring()

    def worker():
        yield WaitBell(now_ns() + 60_000_000_000)
        order.append("ticket")
        yield WaitBell(now_ns() + 1_000_000)
        order.append("no other")

    drive([worker()], bell=Bell(word), running=lambda: True, beat=lambda took: None, rehearsals=Once())
    assert order == ["rehearsal", "ticket", "no other"]


def test_it_begins_in_time_though_sleeps_end_late(monkeypatch):
    clock, began = SimpleNamespace(ns=0), []

    def now():
        clock.ns += 1_000
        return clock.ns

    class Late(Bell):
        def wait(self, seen, timeout):
            clock.ns += round(timeout * 1e9) + 200_000

    class Once:
        def begin_ns(self, now):
            return math.inf if began else 5_000_000

        def make(self):
            began.append(clock.ns)

    def worker():
        yield WaitBell(9_000_000)

    monkeypatch.setattr(driving, "now_ns", now)
    bell = Late(np.zeros(16, np.uint32))
    drive([worker()], bell=bell, running=lambda: True, beat=lambda took: None, rehearsals=Once())
    (began_ns,) = began
    assert 5_000_000 <= began_ns < 5_010_000


def context(cores=(0, 1, 0), workers=1, **settings):
    processes = (
        Process(0, "environment", "environment", cores[0]),
        Process(1, "inference 0", "inference", cores[1], workers=tuple(range(workers))),
        Process(2, "learner 0", "learner", cores[2], 19, learner=0),
    )
    settings = Settings(environment="atari/Boxing", **settings)
    return SimpleNamespace(settings=settings, assembly=SimpleNamespace(processes=processes), process=processes[1])


def test_who_rehearses():
    assert may_rehearse(context())
    for how in (
        {"cores": (0, 0, 0)},
        {"cores": (0, 1, 1)},
        {"workers": 2},
        {"rehearse": False},
        {"stagger": "max_time"},
        {"policy": "random"},
        {"emulated_inference_ms": "5"},
    ):
        assert not may_rehearse(context(**how))
