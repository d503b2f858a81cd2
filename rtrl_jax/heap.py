"""What malloc keeps of memory that has been freed: as little as possible, in a process that copies large arrays now and then.

For GNU's C library. Another one has no such words, and is left as it is.
"""

import contextlib
import ctypes

LARGE = 1 << 20  # bytes
HEAPS = 2  # for all threads together
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # as malloc.h calls them


def keep_little() -> None:
    """Large blocks go back to the system as soon as they are freed, and threads share two heaps.

    By itself malloc takes ever larger blocks from its heaps once one such has been freed, and gives most threads a heap of
    their own: whatever small thing is put behind a block then keeps it from being given back. A checkpoint every 20 seconds made
    the supervisor grow by 45 MB an hour that way. Not for a process that computes: it would ask the system for each array anew.
    """
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, LARGE)
        library.mallopt(_ARENA_MAX, HEAPS)


def trim() -> None:
    """Gives back what is free in the heaps."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
