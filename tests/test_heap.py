"""Freed memory goes back to the system, measured in a process of its own."""

import platform
import subprocess
import sys

import pytest

PLAY = """
import threading
from rtrl_jax import heap
if {kept}:
    heap.keep_little()

def private():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

def copies():
    large, small = [], []
    for _ in range(30):  # as a checkpoint's copies and what is kept for longer are asked for in turn
        large.append(bytearray(3 << 20))
        small.append(bytearray(2000))
    return small

bytearray(4 << 20)  # the first block of that size to be freed: from then on malloc takes such from its heap
before, left = private(), []
for _ in range(4):  # threads, as whoever writes may begin some
    thread = threading.Thread(target=lambda: left.append(copies()))
    thread.start()
    thread.join()
print(private() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's malloc has its own ways")
def test_what_is_freed_goes_back_although_small_things_lie_between():
    kept, as_it_is = (
        float(subprocess.run([sys.executable, "-c", PLAY.format(kept=kept)], check=True, capture_output=True).stdout)
        for kept in (True, False)
    )
    assert kept < 10  # MB
    assert as_it_is > 5 * max(kept, 1)
