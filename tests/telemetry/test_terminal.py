"""What a person sees in the terminal, at any size; and that a run does not mind whether anybody sees it."""

import fcntl
import io
import os
import pty
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT
from rich.console import Console
from screen import Screen
from system.test_failures import wait_for
from telemetry.records import records

from rtrl_jax.telemetry import printer, terminal
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.telemetry.stream import write_patiently
from rtrl_jax.telemetry.terminal import Display, print_summary

LIMITS = Limits(duration_s=60.0)
TITLE = "gameboy/duel-battles, inference emulated: normal:58,2 ms"
SUMMARY = {
    "ticks": 600,
    "measured_rate_hz": 60.0,
    "rate_hz": 60.0,
    "slipped_ticks": 0,
    "lateness_ms": {"p50": 0.01, "p99": 0.1, "max": 1.0},
    "late_ticks": 1,
    "inaction": 0.25,
    "delay": {"mean": 2.0, "p99": 2.0},
    "inference": {
        "applied": 450,
        "overwritten": 0,
        "stale": 1,
        "emulated": None,
        "tau_network_ms": 1.0,
        "greedy": 0.5,
        "exploratory": 0.25,
        "exploratory_last": None,
        "told_all": None,
        "workers": 2,
        "stagger": "ticket",
    },
    "learning": {"updates": 10, "updates_per_s": 1.0, "loss": float("nan"), "q": 1.2345, "target_q": float("nan")}
    | {"td_error": 0.5, "gradient_norm": 12345.0, "inactive": None},
    "episodes": {"count": 0, "return_mean": None, "return_unfinished": 3.0},
    "progress": {"wins": 0, "losses": 0},
    "environment": "gymnasium/CartPole-v1",
    "network": {"name": "mlp"},
    "parameters": 1234,
    "records_lost": 0,
    "failures": [],
}


@pytest.fixture
def window():
    one = Window()
    one.add(records(600))
    return one


class SizedConsole(Console):
    """One that looks at its screen for its size, as a console looks at its terminal."""

    @property
    def size(self):
        from rich.console import ConsoleDimensions

        return ConsoleDimensions(self.file.columns, self.file.height)


@pytest.fixture
def screen():
    return Screen(80, 24)


@pytest.fixture
def display(screen):
    with Display(TITLE, True, SizedConsole(file=screen, force_terminal=True, highlight=False)) as one:
        yield one


@pytest.mark.parametrize("size", [(200, 60), (120, 40), (80, 24), (60, 15), (60, 12), (40, 10), (34, 8), (20, 8)])
def test_the_panel_fits_into_the_terminal(screen, display, window, size):
    screen.resize(*size)
    display.show(window, 12.0, limits=LIMITS)
    wait_for(lambda: "╯" in screen.text)
    assert "tick r" in screen.text
    lines = screen.text.split("\n")
    assert len(lines) < size[1]
    assert max(map(len, lines)) < size[0]
    assert lines[0].startswith("╭─ gameboy/d")
    assert ("environment steps a second" in screen.text) == (size[0] >= 80)
    assert ("lateness" in screen.text) == (size[1] >= 12)
    assert ("12 of 60 s, tick 600" in screen.text) == (size[0] >= 34)


def test_a_terminal_of_a_few_rows_shows_how_far_the_run_is(screen, display, window):
    screen.resize(60, 4)
    display.show(window, 12.0, limits=LIMITS)
    wait_for(lambda: screen.text)
    assert screen.text == "12 of 60 s, tick 600"


def test_resizing_leaves_one_panel_and_what_was_said(screen, display, window):
    for line in ("one", "a long line " * 8, "three"):
        display.say(line)
    for size in ((60, 24), (100, 24), (100, 12), (50, 30), (80, 24)):
        screen.resize(*size)
        display.show(window, 12.0, limits=LIMITS)
        has_meanings = size[0] >= 80
        wait_for(lambda shown=has_meanings: "╯" in screen.text and ("steps a second" in screen.text) == shown)
        time.sleep(2 * printer.REDRAW_S)
        assert [screen.text.count(part) for part in ("╭", "╰", "tick rate", "12 of 60 s")] == [1, 1, 1, 1], screen.text
    assert [line for line in screen.text.split("\n") if line[0] not in "╭│╰"] == ["one", *_wrapped(80), "three"]


def _wrapped(columns):
    line = "a long line " * 8
    return [line[:columns].rstrip(), line[columns:].rstrip()]


def test_lines_stay_above_the_panel_which_goes_in_the_end(screen, window):
    with Display(TITLE, True, SizedConsole(file=screen, force_terminal=True, highlight=False)) as display:
        for number in range(3):
            display.show(window, float(number), limits=LIMITS)
            wait_for(lambda number=number: f"{number} of 60 s" in screen.text)
            display.say(f"line {number}")
            wait_for(lambda number=number: f"line {number}" in screen.text)
        assert screen.text.startswith("line 0\nline 1\nline 2\n╭")
        print("somebody prints", end="")
        print(" a line")
    assert screen.text == "line 0\nline 1\nline 2"


def test_what_others_print_is_a_line_above_the_panel(screen, window, monkeypatch):
    monkeypatch.setattr(sys, "stderr", screen)
    with Display(TITLE, True, SizedConsole(file=screen, force_terminal=True, highlight=False)) as display:
        display.show(window, 1.0, limits=LIMITS)
        wait_for(lambda: "╯" in screen.text)
        kept = sys.stderr
        print("a warn", file=sys.stderr, end="")
        print("ing", file=sys.stderr)
        print("and no end", file=sys.stderr, end="")
        wait_for(lambda: screen.text.startswith("a warning\n╭"))
    assert screen.text == "a warning\nand no end"
    assert sys.stderr is screen
    print("later", file=kept, flush=True)
    assert screen.text == "a warning\nand no end\nlater"


def test_what_is_waited_for_has_a_total(screen, display):
    display.waiting("Updates from demonstrations", 1234, 16_000)
    wait_for(lambda: "Updates from demonstrations: 1,234 of 16,000" in screen.text)
    assert "━" in screen.text
    display.waiting("Compiling …")
    wait_for(lambda: "Compiling …" in screen.text and "16,000" not in screen.text)


def test_what_is_no_run_has_a_panel_too_and_its_last_row_stays(screen, display):
    screen.resize(70, 8)
    display.figures([(f"delay-{number}", "tick 5", "12 s") for number in range(20)], "3 of 30 finished", 0.1)
    wait_for(lambda: "╯" in screen.text)
    assert "delay-0" in screen.text
    assert "3 of 30 finished" in screen.text


def test_elsewhere_such_a_line_comes_as_often_as_was_asked_for():
    file = io.StringIO()
    with Display(TITLE, True, Console(file=file, highlight=False), line_every_s=0.0) as display:
        display.figures([("delay-1", "tick 5", "12 s")], "3 of 30 finished", 0.1)
    assert file.getvalue() == "3 of 30 finished: delay-1 tick 5\n"


def test_elsewhere_there_is_a_line_now_and_then(window, monkeypatch):
    monkeypatch.setattr(terminal, "LINE_EVERY_S", 0.0)
    file = io.StringIO()
    with Display(TITLE, True, Console(file=file, highlight=False)) as display:
        display.waiting("Updates from demonstrations", 500, 16_000)
        display.waiting("Compiling …")
        display.show(window, 12.0, limits=Limits(max_ticks=3600, max_episodes=20))
        display.show(window, 3725.0, limits=Limits(duration_s=86_400.0))
    lines = file.getvalue().split("\n")
    assert lines[0] == "Updates from demonstrations: 500 of 16,000"
    assert lines[1].startswith("12 s, tick 600 of 3,600, episode 2 of 20: tick rate")
    assert lines[2].startswith("1:02:05 of 24:00:00, tick 600: tick rate")


def test_how_much_is_over_is_what_is_nearest_to_its_end():
    assert Limits(60.0, 1000, 10).fraction(30.0, 900, 2) == pytest.approx(0.9)
    assert Limits(60.0).fraction(90.0, 0, 0) == 1.0
    assert Limits().fraction(90.0, 10, 1) is None


def test_nothing_is_printed_where_nothing_is_wanted(capfd, window):
    with Display(TITLE, False) as display:
        display.say("line")
        display.waiting("what", 1, 2)
        display.show(window, 12.0, limits=LIMITS)
    assert capfd.readouterr() == ("", "")


def test_lines_that_nobody_reads_are_counted(monkeypatch):
    reading = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text):
            reading.wait()
            return super().write(text)

    monkeypatch.setattr(printer, "MOST_LINES", 10)
    file = Stuck()
    with Display(TITLE, True, Console(file=file)) as display:
        display.say("first")
        time.sleep(0.3)
        for number in range(15):
            display.say(str(number))
        reading.set()
        wait_for(lambda: "more" in file.getvalue())
        display.say("last")
    expected = ["first", *map(str, range(10)), "(5 more lines were not printed, since nobody read them)", "last", ""]
    assert file.getvalue().split("\n") == expected


STUCK = """
import sys
sys.path.insert(0, {tests!r})
from telemetry.records import records
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.telemetry.terminal import Display
window = Window()
window.add(records(600))
with Display("a run", True) as display:
    for number in range(3000):
        display.say("a line that nobody reads " * 4)
        if number % 100 == 0:
            display.show(window, number, limits=Limits(duration_s=60.0))
            print("printed by somebody", file=sys.stderr if {draws} else sys.stdout)
    if {draws}:
        import warnings
        warnings.warn("a warning")
open({done!r}, "w").write("watched to the end")
"""


@pytest.mark.parametrize("kind", ["pipe", "pty"])
def test_a_terminal_that_nobody_reads_holds_nobody_up(tmp_path, kind):
    """It ends by itself, and well: a thread that hangs in a write must not keep the interpreter from ending either."""
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    if kind == "pipe":
        os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
    script = STUCK.format(tests=str(ROOT / "tests"), done=str(tmp_path / "done"), draws=kind == "pty")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=writing, env=environment
    )
    try:
        assert process.wait(60) == 0
        assert (tmp_path / "done").read_text() == "watched to the end"
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)


def test_a_broken_pipe_is_silence(window):
    reading, writing = os.pipe()
    os.close(reading)
    file = os.fdopen(writing, "w")
    with Display(TITLE, True, Console(file=file)) as display:
        display.say("line")
        time.sleep(0.3)
        display.say("line")
        display.show(window, 12.0, limits=LIMITS)
    with pytest.raises(BrokenPipeError):
        file.close()


def test_the_summary_is_not_waited_for_when_nobody_reads_it():
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
    file = os.fdopen(writing, "w")
    print_summary(Console(file=file), SUMMARY, "runs/one", patience_s=0.2)
    assert set(os.read(reading, 1 << 20)) == {ord("x")}
    os.close(reading)


def test_the_summary_waits_for_who_reads_slowly():
    reading, writing = os.pipe()
    taken = []

    def read_slowly():
        while part := os.read(reading, 4096):
            taken.append(part)
            time.sleep(0.02)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    text = "a line of a long summary\n" * 20_000
    with os.fdopen(writing, "w") as file:
        assert write_patiently(file, text, patience_s=1.0)
    reader.join(60)
    assert b"".join(taken).decode() == text


@pytest.mark.parametrize("lost", [0, 1500])
def test_the_summary_tells_of_records_that_were_lost(lost):
    file = io.StringIO()
    print_summary(Console(file=file, width=100), {**SUMMARY, "records_lost": lost}, "runs/one")
    assert ("1,500 records were lost" in file.getvalue()) == bool(lost)
    assert "loss nan" in file.getvalue()
    assert file.getvalue().endswith("The run is in runs/one\n")
