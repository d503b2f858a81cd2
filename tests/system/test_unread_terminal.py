"""A run whose terminal nobody reads: it goes on, is watched and recorded, and ends as it should."""

import fcntl
import os
import signal
import subprocess
import time

from conftest import command
from system.test_failures import FLAGS, nothing_left, wait_for
from system.test_runs import check


def test_a_run_goes_on_and_ends_when_nobody_reads_what_it_prints(tmp_path):
    folder = tmp_path / "run"
    reading, writing = os.pipe()
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
    flags = [*FLAGS, "--duration_s=60", f"--run_dir={folder}"]
    process = subprocess.Popen(command(*flags), stdout=writing, stderr=writing)
    try:
        ticks = folder / "ticks.raw"
        wait_for(lambda: ticks.exists() and ticks.stat().st_size > 0)
        before = ticks.stat().st_size
        time.sleep(2)
        assert ticks.stat().st_size > before, "the record stands still"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        wait_for(lambda: nothing_left(folder), timeout=3)
        check(folder)
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)
