"""Playing a sweep: as many runs at a time as there are cores, each in a process of its own, until none is left."""

import collections
import dataclasses
import json
import math
import os
import pathlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable

from rtrl_jax import memory, processes, topology
from rtrl_jax.cluster.errand import Elsewhere
from rtrl_jax.cluster.host import installed
from rtrl_jax.cluster.joining import Cluster
from rtrl_jax.core import preparation
from rtrl_jax.core.signals import ENDING, signals_to
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps import place, table
from rtrl_jax.sweeps.child import Message
from rtrl_jax.sweeps.definition import Run, Sweep
from rtrl_jax.sweeps.progress import Progress
from rtrl_jax.telemetry.progress import clock
from rtrl_jax.telemetry.terminal import Display

NICENESS = 19  # of virtual runs; a run by the wall clock is not put back behind others
LOOK_S = 0.2
SHOW_S = 1.0
ASK_AGAIN_S = 2.0  # a process that is told to end just then, between its run and the evaluation, may not hear it
PATIENCE_S = 120.0  # for the last checkpoint of a run
LONGEST_REASON = 500  # characters
ESTIMATE_FROM = 0.02  # of what this session had to do, before it says how long the rest will take


def room(settings: Settings) -> int:
    """How many runs at a time there are cores for, of those that the settings allow and control groups grant."""
    granted = topology.granted()
    return min(len(settings.core_list()), math.ceil(granted) if granted else 2**31)


class Playing:
    """A sweep in progress, in a folder that is this process's alone."""

    def __init__(
        self,
        sweep: Sweep,
        out: pathlib.Path,
        jobs: int,
        display: Display,
        takes: int = 1,
        cluster: Cluster | None = None,
    ):
        """Args:
        jobs: at a time; one if runs go by the wall clock.
        takes: bytes that one takes, which may make them fewer.
        cluster: on which the runs are played, if not on this machine.
        """
        self._sweep, self._out, self._display, self._takes, self._cluster = sweep, out, display, takes, cluster
        self._wanted = jobs if sweep.is_virtual else 1
        self._jobs = self._wanted if cluster else max(1, min(self._wanted, memory.available() // takes))
        self._active: dict[str, _Job] = {}
        self._over: set[str] = set()  # names of runs that are finished
        self._signals: list[str] = []
        self._stopping_since = self._asked = -math.inf
        self._elapsed = -time.monotonic()
        self._shown = -math.inf

    def stop(self, reason: str) -> None:
        """Ends it soon; the second time, at once. Safe in a signal handler."""
        self._signals.append(reason)

    def play(self, retry_failed: bool) -> list[table.Row]:
        """Plays what is left, and returns all rows. Args: retry_failed: whether what has failed before is tried again."""
        place.make_folders(self._out)
        left = self._left(retry_failed)
        self._say_start(left)
        waiting = collections.deque(left)
        self._begun_with = self._share_done(waiting)
        try:
            with signals_to(self.stop):
                while self._active or (waiting and not self._signals):
                    while waiting and len(self._active) < self._jobs and not self._signals:
                        self._start(waiting.popleft())
                    self._end_if_told()
                    waiting += self._settle()
                    self._show(waiting)
                    time.sleep(LOOK_S)
        finally:
            for job in self._active.values():
                job.kill()
        if self._signals:
            self._display.say(f"ended by {self._signals[0]}: started again with the same command it goes on")
        return self._write()

    def _left(self, retry_failed: bool) -> list[Run]:
        left = []
        for run in self._sweep.runs():
            here = self._place(run)
            if retry_failed:
                here.failure.unlink(missing_ok=True)
            if here.state(bool(self._sweep.played.episodes)) in (place.WAITING, place.UNFINISHED):
                left.append(run)
        return left

    def _say_start(self, left: list[Run]) -> None:
        runs = self._sweep.runs()
        done = len(runs) - len(left)
        at_a_time = min(self._jobs, len(left))
        self._display.say(
            f"{len(self._sweep.cells)} cells, {len(self._sweep.seeds)} seeds: {len(runs)} runs"
            + (f", {done} of them done before" if done else "")
            + f"; {at_a_time} at a time, in {self._out}"
        )
        if self._jobs < min(self._wanted, len(left)):
            self._display.say(
                f"memory has room for no more: a run may come to {self._takes / 2**30:.1f} GiB; --replay_capacity lowers that"
            )
        if self._cluster:
            self._display.say(f"on a cluster with {self._cluster.cores} cores")
        if not self._sweep.is_virtual:
            self._display.say("runs by the wall clock cannot share the machine: one at a time")

    def _place(self, run: Run) -> place.Place:
        return place.of(self._out, run.name)

    def _start(self, run: Run) -> None:
        here, played = self._place(run), self._sweep.played
        settings = preparation.checked(self._sweep.settings_of(run, here.run))
        message = Message(
            parent=os.getpid(),
            niceness=NICENESS if settings.is_virtual else 0,
            out=str(self._out),
            name=run.name,
            settings=dataclasses.asdict(settings),
            episodes=played.episodes,
            most_ticks=played.most_ticks,
        )
        goes_on = here.state(bool(played.episodes)) == place.UNFINISHED
        self._display.say(f"{run.name}: {'goes on' if goes_on else 'begins'}")
        self._active[run.name] = _Job(run, here, settings, message, self._begin)

    def _begin(self, message: Message, where: place.Place):
        """The process of a run: here, or where on the cluster a core is free."""
        module, name, told = "rtrl_jax.sweeps.child", str(where.run), message._asdict()
        if self._cluster:
            shared = str(self._out / place.FILE)
            return Elsewhere(self._cluster, self._takes, module, name, told, shared, str(where.log), installed())
        with open(where.log, "ab") as output, tempfile.TemporaryFile() as text:
            text.write(json.dumps(told).encode())
            text.seek(0)
            return subprocess.Popen(
                processes.command(module, name),
                stdin=text,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the sweep alone, which passes it on
            )

    def _end_if_told(self) -> None:
        if not self._signals or not self._active:
            return
        now = time.monotonic()
        if self._stopping_since == -math.inf:
            self._stopping_since = now
            count = len(self._active)
            self._display.say(f"{self._signals[0]}: ending {count} run{'s' * (count != 1)} with a checkpoint each")
        if now - self._asked >= ASK_AGAIN_S:
            self._asked = now
            for job in self._active.values():
                job.ask_to_end()
        if len(self._signals) > 1 or now - self._stopping_since > PATIENCE_S:
            for job in self._active.values():
                job.kill()

    def _settle(self) -> list[Run]:
        """What has become of processes that have ended. Returns the runs whose machine is lost."""
        ended = [job for job in self._active.values() if job.has_ended()]
        for job in ended:
            del self._active[job.run.name]
            if job.place.state(bool(self._sweep.played.episodes)) == place.FINISHED:  # however its process ended
                self._display.say(f"{job.run.name}: {_outcome(job.place)}, after {clock(job.seconds())}")
            elif job.is_lost:
                self._display.say(f"{job.run.name}: its machine is lost; it goes on elsewhere")
            elif reason := job.failure(told=bool(self._signals)):
                job.place.fail(reason)
                self._display.say(f"{job.run.name} has failed: {reason}")
            else:
                self._display.say(f"{job.run.name}: was ended before its limits")
        if ended:
            self._write()
        return [job.run for job in ended if job.is_lost]

    def _write(self) -> list[table.Row]:
        found = table.rows(self._sweep, self._out)
        table.write(found, self._out)
        return found

    def _show(self, waiting) -> None:
        if time.monotonic() - self._shown < SHOW_S:
            return
        self._shown = time.monotonic()
        share = self._share_done(waiting)
        states = self._states()
        seconds = self._elapsed + time.monotonic()
        words = f"{states[place.FINISHED]} of {len(self._sweep.runs())} finished"
        words += f", {states[place.FAILED]} failed" if states[place.FAILED] else ""
        words += f", {len(waiting)} waiting; {clock(seconds)}"
        done = (share - self._begun_with) / max(1e-9, 1 - self._begun_with)
        if ESTIMATE_FROM < done < 1:
            words += f", about {clock(seconds * (1 - done) / done)} to go"
        rows = [(name, *job.words()) for name, job in self._active.items()]
        self._display.figures(rows, words, share)

    def _states(self) -> collections.Counter:
        """How many runs are in which state, evaluations left aside. What is finished is looked at once."""
        found = collections.Counter()
        for run in self._sweep.runs():
            state = place.FINISHED if run.name in self._over else self._place(run).state(False)
            if state == place.FINISHED and run.name not in self._active:  # an evaluation may still fail
                self._over.add(run.name)
            found[state] += 1
        return found

    def _share_done(self, waiting) -> float:
        total = len(self._sweep.runs())
        return (total - len(waiting) - len(self._active) + sum(job.share() for job in self._active.values())) / total


class _Job:
    """The process of one run."""

    def __init__(self, run: Run, where: place.Place, settings: Settings, message: Message, begin: Callable):
        """Args: begin: (message, place) -> a `subprocess.Popen`, or what does as much of it as is used here."""
        self.run, self.place, self._is_evaluated = run, where, message.episodes > 0
        self._progress, self._began = Progress(where.run, settings), time.monotonic()
        self._start_of_output = where.log.stat().st_size if where.log.exists() else 0
        self._process = begin(message, where)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def share(self) -> float:
        return self._progress.look()[1]

    def words(self) -> tuple[str, str]:
        """What it is doing, and since when."""
        if self.place.is_over():
            return "evaluating" if self._is_evaluated else "ending", clock(self.seconds())
        return self._progress.look()[0] or "starting", clock(self.seconds())

    def ask_to_end(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def is_lost(self) -> bool:
        """Whether it has ended because its machine is no more."""
        return getattr(self._process, "lost", False)

    def failure(self, told: bool) -> str:
        """Why it has failed, "" if it has not: one that was told to end has not. Args: told: whether the sweep is ending."""
        if refused := getattr(self._process, "refused", ""):
            return refused
        status = self._process.returncode
        if status == 0 or (status < 0 and (told or -status in ENDING)):
            return ""
        last = self._last_line()
        if status < 0:
            reason = f"killed by {signal.Signals(-status).name}"
            return f"{reason}; its last line: {last}" if last else reason
        return last or f"exit status {status}"

    def _last_line(self) -> str:
        if not self.place.log.exists():
            return ""
        with open(self.place.log, "rb") as file:
            file.seek(self._start_of_output)
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:LONGEST_REASON] if lines else ""


def _outcome(where: place.Place) -> str:
    summary = where.summary()
    words = f"{summary['ticks']:,} ticks, {summary['episodes']['count']:,} episodes"
    if summary["episodes"]["return_mean"] is not None:
        words += f" of mean return {summary['episodes']['return_mean']:.4g}"
    if scores := where.scores():
        words += f"; evaluated {scores['mean']:.4g}"
    return words
