"""What is concluded from what is seen of processes in their places."""

import pathlib
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from rtrl_jax.core.assembly import Process
from rtrl_jax.core.preparation import writing_to
from rtrl_jax.realtime import watch
from rtrl_jax.realtime.process import Child
from rtrl_jax.realtime.supervisor import Supervisor
from rtrl_jax.realtime.watch import Place, Watch


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    return clock


def test_one_that_keeps_dying_is_started_later_and_later_and_given_up_in_the_end(clock):
    place, waits = Place(Process(1, "inference 0", "inference")), []
    while not place.keeps_dying:
        place.died(was_ready=True)
        waits.append(place.again_at - clock.now)
        clock.now = place.again_at + 0.1
    assert waits[:5] == [0, 0, 0.5, 1, 2]
    assert max(waits) == 30
    assert len(waits) == watch.MOST_DEATHS + 1


def test_deaths_that_lie_far_apart_cost_no_wait(clock):
    place = Place(Process(1, "inference 0", "inference"))
    for _ in range(50):
        place.died(was_ready=True)
        assert place.again_at == clock.now
        assert not place.keeps_dying
        clock.now += watch.DEATHS_WITHIN_S / 2 + 1


def test_three_deaths_before_it_was_ever_ready_are_enough(clock):
    place = Place(Process(1, "inference 0", "inference"))
    place.died(was_ready=True)
    for early in (1, 2, 3):
        place.died(was_ready=False)
        assert place.keeps_dying == (early == 3)


class Real:
    """A real process in place of a run's own."""

    processor_s, is_runnable, _stat = Child.processor_s, Child.is_runnable, Child._stat

    def __init__(self, code):
        self._process = subprocess.Popen([sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("code", "starved"),
    [("while True: pass", True), ("import time; time.sleep(60)", False)],
    ids=["wants its core", "waits for something"],
)
def test_silence_of_one_that_gets_no_processor_time_is_no_hang(code, starved):
    place = Place(Process(1, "learner 0", "learner"))
    place.child = Real(code)
    try:
        time.sleep(1)
        place.heard(beat_ns=1, gap_ns=0)
        assert place.is_starved(patience_s=30) == starved
        assert not place.is_starved(patience_s=0), "it had all the time that it was given"
    finally:
        place.child._process.send_signal(signal.SIGKILL)
        place.child._process.wait()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device", "RUN/ticks.raw"), "free some space there"),
        (OSError(11, "Resource temporarily unavailable"), "the run failed: "),
    ],
)
def test_only_a_full_disk_is_one(error, says):
    with pytest.raises(RuntimeError, match=says), writing_to(pathlib.Path("RUN")):
        raise error


def test_silence_counts_from_when_all_were_held_up_but_only_once_for_one_that_is_not_heard_again():
    now, place = time.monotonic_ns(), Place(Process(1, "learner 0", "learner"))
    assert place.heard(beat_ns=now - 100, gap_ns=0) == now - 100
    assert place.heard(beat_ns=now - 100, gap_ns=now - 50) == now - 50  # excused
    assert place.heard(beat_ns=now - 100, gap_ns=now - 10) == now - 50  # held up again, and it has said nothing since
    assert place.heard(beat_ns=now - 5, gap_ns=now - 10) == now - 5
    assert place.heard(beat_ns=now - 5, gap_ns=now) == now


def test_an_environment_that_ends_between_two_looks_at_it_has_ended_the_run_and_has_not_died():
    """It says that the run is over and ends, both after a look at the one and before the look at the other."""
    board, process = SimpleNamespace(over=[0]), Process(0, "environment", "environment")
    seen = Watch(None, board, [process], None, None, look_s=0.1)
    (place,) = seen.places.values()

    def ends(_):
        board.over[0] = 1
        return "ended by itself (exit status 0) before the run was over"

    seen._what_is_wrong = ends
    place.child = object()
    seen.look()
    assert seen.finished
    assert seen.fatal is None


def test_what_a_process_has_started_is_killed_with_it():
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    )
    child = object.__new__(Child)
    child._process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    started = pathlib.Path(f"/proc/{int(child._process.stdout.readline())}/stat")
    child.kill()
    assert child.wait(5)
    deadline = time.monotonic() + 5
    while started.exists() and started.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()  # one that has ended is let be


def test_the_page_may_stop_a_run_that_still_waits_for_its_learner():
    one = object.__new__(Supervisor)
    board = SimpleNamespace(ready=np.zeros(1), stop_wanted=np.ones(1))
    one._board, one._stop_reason, one._crews = board, None, None
    one._assembly = SimpleNamespace(awaited=[0], processes=[Process(0, "learner 0", "learner")])
    one._watch = SimpleNamespace(starting=lambda needed: None, fatal=None)
    window = SimpleNamespace(updates=0)
    one._output = SimpleNamespace(take_in=lambda: None, window=window, updates_before=0)
    one._display = SimpleNamespace(waiting=lambda *words: None)
    one._wait_until_ready()
    assert one._stop_reason == "the stop button of the page"
