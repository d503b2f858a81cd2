"""Waking another process at once: a futex on a word of the board.

The environment process rings; the owner of the bell waits. A ring that comes before the wait is not lost, because the
waiter names the count it has seen and the kernel compares. A dead waiter holds nothing. A learner's bell has several
ringers, whose counts may fall together: each has stored what it rings for before it counts, and the waiter looks again
within its timeout.
"""

import ctypes

import numpy as np

_SYSCALL = 202  # futex, on Linux on x86-64
_WAIT, _WAKE, _EVERYBODY = 0, 1, 2**31 - 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class Bell:
    """A count that one process raises and another waits on."""

    def __init__(self, word: np.ndarray):
        """Args: word: uint32 [at least 1], in shared memory, written by the ringer alone."""
        self._word = word
        self._address = ctypes.c_void_p(word.ctypes.data)

    def count(self) -> int:
        return int(self._word[0])

    def ring(self) -> None:
        self._word[0] = (int(self._word[0]) + 1) & 0xFFFFFFFF
        _libc.syscall(_SYSCALL, self._address, _WAKE, _EVERYBODY, None, None, 0)

    def wait(self, seen: int, timeout_s: float) -> None:
        """Returns when the count differs from `seen`, or after `timeout_s`, or earlier for no reason."""
        timeout = _Timespec(int(timeout_s), int(timeout_s % 1 * 1e9))
        _libc.syscall(_SYSCALL, self._address, _WAIT, ctypes.c_uint32(seen), ctypes.byref(timeout), None, 0)
