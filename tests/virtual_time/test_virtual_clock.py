"""The virtual driver itself: the order of events, who wakes when, when a computation is done; and what things cost."""

import numpy as np
import pytest

from rtrl_jax import UserError, latency
from rtrl_jax.virtual_time import costs
from rtrl_jax.virtual_time.drive import Clock, drive
from rtrl_jax.workers.effects import Apply, Infer, Learn, NextBoundary, Sleep, WaitBell


class Log:
    """What happened in which order, on a clock in nanoseconds."""

    def __init__(self, loops: int):
        self.clock, self.lines, self.bells = Clock(), [], np.zeros(loops, np.uint32)

    def add(self, who: str) -> None:
        self.lines.append((self.clock.ns, who))

    def world(self, boundaries: int, rings=()):
        for n in range(boundaries):
            now = yield NextBoundary(10 * n)
            if now is None:
                self.add("end")
                return
            self.add("world")
            self.bells[list(rings)] += 1

    def drive(self, *loops, cost=0, running=lambda: True):
        drive(list(loops), clock=self.clock, bells=self.bells, charge=lambda n, effect, value: cost, running=running)


def test_at_one_instant_the_boundary_comes_first_and_then_the_others_by_number():
    log = Log(4)

    def sleeper(name, instants):
        for instant in instants:
            yield Sleep(instant)
            log.add(name)

    log.drive(log.world(3), sleeper("a", [10, 20]), sleeper("b", [10, 10, 20]), sleeper("c", [5, 10]))
    assert log.lines == [
        *[(0, "world"), (5, "c"), (10, "world"), (10, "a"), (10, "b"), (10, "b"), (10, "c"), (20, "world")],
    ]


@pytest.mark.parametrize(("effect", "first"), [(Infer, "worker"), (Learn, "world"), (Apply, "world")])
def test_an_answer_that_is_ready_at_a_boundary_acts_at_it_and_an_update_does_not(effect, first):
    log = Log(2)

    def worker():
        yield effect(lambda: None)
        log.add("worker")

    log.drive(log.world(2), worker(), cost=10)
    assert next(who for instant, who in log.lines if instant == 10) == first


def test_a_bell_wakes_at_the_boundary_that_rings_it():
    log = Log(3)

    def listener(name):
        while True:
            yield WaitBell(1 << 62)
            log.add(name)

    log.drive(log.world(3, rings=[2]), listener("a"), listener("b"))
    assert [line for line in log.lines if line[1] != "world"] == [(0, "b"), (10, "b")]


def test_an_update_that_is_applied_wakes_whose_bell_it_rings_at_once():
    log = Log(3)

    def learner():
        yield Apply(lambda: log.bells.__setitem__(2, 1))

    def listener():
        yield WaitBell(1 << 62)
        log.add("woken")

    log.drive(log.world(4), learner(), listener(), cost=13)
    assert (13, "woken") in log.lines


@pytest.mark.parametrize("effect", [Infer, Learn, Apply])
def test_computations_take_what_they_are_charged(effect):
    log, done = Log(2), []

    def worker():
        timed = yield effect(lambda: log.clock.ns)
        done.append((log.clock.ns, timed))

    log.drive(log.world(3), worker(), cost=13)
    ((resumed, timed),) = done
    assert (resumed, timed.start_ns, timed.end_ns) == (13, 0, 13)
    assert timed.value == (13 if effect is Apply else 0)  # an update is committed when it ends


def test_a_run_that_is_stopped_lets_the_environment_end():
    log = Log(1)
    log.drive(log.world(100), running=lambda: log.clock.ns < 30)
    assert log.lines[-1] == (30, "end")


def stated(text):
    generator = np.random.default_rng(0)
    return costs.drawn_inference(text, "inference_latency_ms", lambda worker: generator)[1]


def test_an_exploratory_action_costs_next_to_nothing():
    assert stated("12")(0, True) == 12_000_000
    assert stated("12")(0, False) == costs.EXPLORING_NS


def test_outliers_come_as_often_as_they_should():
    inference = stated("normal:12,1+outlier:0.1,60")
    took = np.array([inference(0, True) for _ in range(5000)]) / 1e6
    assert (took == 60).mean() == pytest.approx(0.1, abs=0.015)
    assert took[took < 60].mean() == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("text", ["soon", "normal:1", "12+outlier:2,60", "12+60", "12+outlier:0.1", "trace:", "+"])
def test_a_time_that_says_nothing_is_refused(text):
    with pytest.raises(UserError, match=r"--inference_latency_ms=.*milliseconds.*trace:RUN"):
        latency.check_virtual(text, "inference_latency_ms")


@pytest.mark.parametrize("text", ["0", "normal:12,1", "gamma:12,6+outlier:0.001,60", "measured", "trace:runs/a"])
def test_a_time_that_says_something_is_not(text):
    latency.check_virtual(text, "inference_latency_ms")


def test_a_trace_is_replayed_worker_by_worker_and_begins_again():
    trace = costs.Trace(
        [np.array([5, 6]), np.array([7])],
        [np.array([1]), np.array([], int)],
        [np.array([100, 200])],
        [np.array([3, 4])],
    )
    progress = costs.Progress(np.random.default_rng)
    _, inference = costs.traced_inference(trace, progress)
    assert [inference(0, True) for _ in range(3)] == [5, 6, 5]
    assert [inference(1, True), inference(3, True), inference(0, False)] == [7, 7, 1]
    assert inference(1, False) == costs.EXPLORING_NS
    learning = costs.traced_learning(trace, progress)
    assert [learning(0), learning(0), learning(1)] == [(100, 3), (200, 4), (100, 3)]
