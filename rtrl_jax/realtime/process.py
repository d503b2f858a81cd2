"""One child process of a run: starting it, seeing what became of it, stopping it."""

import os
import pathlib
import signal
import subprocess
import tempfile
from contextlib import suppress

from rtrl_jax import processes
from rtrl_jax.core.assembly import Process
from rtrl_jax.errors import DivergedError

MOST_LINES = 40
STARTUP_TIMEOUT_S = 600.0  # compiling the largest network included


class Child:
    """A process in its place. Its output goes to a log in the run folder."""

    def __init__(self, process: Process, message: str, descriptors: tuple[int, ...], log: pathlib.Path):
        """Args: message: see `realtime.message`; it is its standard input. descriptors: that it gets."""
        self._log = log
        with open(log, "ab") as output, tempfile.TemporaryFile() as told:
            self._start_of_output = output.tell()
            told.write(message.encode())  # a file, since a pipe would make us wait until it has been read
            told.seek(0)
            self._process = subprocess.Popen(
                processes.command("rtrl_jax.realtime.child", process.name, str(log.parent.parent)),
                stdin=told,
                stdout=output,
                stderr=output,
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C is for the supervisor alone
            )

    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def output(self) -> str:
        """The end of what it printed: the traceback, if it died of an exception."""
        try:
            with open(self._log, "rb") as file:
                file.seek(self._start_of_output)
                printed = file.read().decode(errors="replace").strip()
        except OSError:
            return ""
        from_traceback = printed[max(0, printed.rfind("Traceback (most recent call last)")) :]
        return "\n".join(from_traceback.splitlines()[-MOST_LINES:])

    def reason(self) -> str:
        """One line on how it ended."""
        status = self.exit_status()
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        if status == 0:
            return "ended by itself (exit status 0) before the run was over"
        last = self.output().splitlines()[-1:] or [f"exit status {status}"]
        return last[0] if self.diverged else f"died: {last[0]}"

    @property
    def diverged(self) -> bool:
        """Whether it has ended since its learning came to what is no finite number. A successor would come to the same."""
        return self.exit_status() == DivergedError.EXIT_STATUS

    def processor_s(self) -> float:
        """Processor time that it has had, all its threads together."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def is_runnable(self) -> bool:
        """Whether it wants a core just now, and does not wait for something."""
        fields = self._stat()
        return bool(fields) and fields[0] == "R"

    def _stat(self) -> list[str]:
        """The fields of /proc/PID/stat from the third on; nothing once it is gone."""
        try:
            with open(f"/proc/{self._process.pid}/stat") as file:
                return file.read().rpartition(")")[2].split()
        except OSError:
            return []

    def kill(self) -> None:
        """With what it has started, as a world may be a game in a process of its own."""
        if self._process.poll() is None:  # its number is still its own
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, timeout_s: float) -> bool:
        """True if it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True
