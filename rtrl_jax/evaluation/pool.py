"""Episodes spread over processor cores: a worker process on each, which takes the next episode when it has finished one."""

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence

from rtrl_jax import processes
from rtrl_jax.evaluation.episodes import Episode, Job
from rtrl_jax.evaluation.worker import Work

PATIENCE_S = 5.0  # for a killed process to be gone


class Times:
    """How long processes have inferred, and how long they have played in all, in seconds."""

    inferring_s = playing_s = 0.0

    def add(self, inferring_s: float, playing_s: float) -> None:
        self.inferring_s += inferring_s
        self.playing_s += playing_s


def play(work: Work, jobs: Sequence[Job], cores: Sequence[int], times: Times | None = None) -> Iterator[Episode]:
    """Plays the jobs and yields each episode when it is finished, in whatever order that is.

    What an episode gives depends on its job alone. Closing the iterator ends the processes.

    Args: times: takes in what the processes say of theirs.

    Raises:
      RuntimeError: a process died; says of what.
    """
    waiting, finished = queue.SimpleQueue(), queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    workers = []
    try:
        for core in cores[: len(jobs)]:
            workers.append(_Worker(work, core, waiting, finished))
        for _ in jobs:
            episode = finished.get()
            if isinstance(episode, str):
                raise RuntimeError(f"a process that plays {work.environment} {episode}")
            yield episode
    finally:
        for worker in workers:
            worker.end()
            if times:
                times.add(*worker.times)


class _Worker:
    """One process, and the thread that talks to it."""

    def __init__(self, work: Work, core: int, waiting: queue.SimpleQueue, finished: queue.SimpleQueue):
        """Args: waiting: of jobs. finished: takes episodes, and a line of text if the process dies."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, lives as long as the process
        self._process = subprocess.Popen(
            processes.command("rtrl_jax.evaluation.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent alone
        )
        self._waiting, self._finished = waiting, finished
        self.times = (0.0, 0.0)  # inferring, and in all, until it last said so
        self._say({"work": work._asdict(), "core": core, "parent": os.getpid()})
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        job = ()
        for line in self._process.stdout:
            episode, *self.times = json.loads(line)
            if episode is not None:
                self._finished.put(Episode(*episode))
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                job = None
            self._say(job)
        if self._process.wait() or job is not None:  # it may also end by itself, in the middle of an episode
            self._finished.put(self._reason())

    def _say(self, value) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has died; its output ends too
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def _reason(self) -> str:
        if self._process.returncode < 0:
            return f"was killed by signal {-self._process.returncode}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"died: {lines[-1] if lines else f'exit status {self._process.returncode}'}"

    def end(self) -> None:
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
