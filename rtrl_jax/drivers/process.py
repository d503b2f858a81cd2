"""One child process of a run: starting it, seeing what became of it, stopping it."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

MOST_LINES = 40


class Child:
    """A process in its place. Its output goes to a log in the run folder."""

    def __init__(self, place, message: str, descriptors: tuple[int, ...], log: pathlib.Path):
        """Args: place: an `assembly.Process`. message: see `drivers.message`; it goes through a pipe. descriptors: it gets."""
        self.place = place
        self._log = log
        # The children import what the parent can, a user's own modules too.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        with open(log, "ab") as output:
            self._start_of_output = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rtrl_jax.drivers.child", place.name, str(log.parent.parent)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C is for the supervisor alone
            )
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(message.encode())

    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def output(self) -> str:
        """The end of what it printed: the traceback, if it died of an exception."""
        with open(self._log, "rb") as file:
            file.seek(self._start_of_output)
            printed = file.read().decode(errors="replace").strip()
        from_traceback = printed[max(0, printed.rfind("Traceback (most recent call last)")) :]
        return "\n".join(from_traceback.splitlines()[-MOST_LINES:])

    def reason(self) -> str:
        """One line on how it ended."""
        status = self.exit_status()
        if status is not None and status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        last = self.output().splitlines()[-1:] or [f"exit status {status}"]
        return f"died: {last[0]}"

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout_s: float) -> bool:
        """True if it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True
