"""The memory behind the board: a file that has no name from the moment it exists, so nothing can be left behind.

The creator opens a file in the machine's shared memory, mode 0600, reserves its pages, unlinks it, and hands the file
descriptor to its children. When the last process holding it is gone, however it went, the kernel frees the memory.
"""

import fcntl
import mmap
import os
import pathlib
import secrets
import threading
from contextlib import contextmanager

from rtrl_jax import memory
from rtrl_jax.errors import UserError

# Reserving all memory of the machine would take the machine down with it.
LARGEST_SHARE_OF_FREE_MEMORY = 0.8
MOST_POPULATED = 1 << 30  # bytes; 6 GiB took 16 s, and a fault at a boundary takes 10 µs


def create(size: int, fallback: pathlib.Path, shared_memory: str | None = None) -> tuple[int, str]:
    """Creates `size` bytes of shared memory and returns (file descriptor, where it lies).

    Args:
      size: bytes.
      fallback: folder that takes a file-backed map when shared memory is too small.
      shared_memory: where to look first; default $RTRL_SHM, else /dev/shm.

    Raises:
      UserError: neither place has room.
    """
    shared_memory = shared_memory or os.environ.get("RTRL_SHM", "/dev/shm")
    reasons = []
    if size > LARGEST_SHARE_OF_FREE_MEMORY * memory.available():
        reasons.append("memory is too small")
    else:
        try:
            return _reserve(pathlib.Path(shared_memory), size), shared_memory
        except OSError as error:
            reasons.append(f"{shared_memory}: {error.strerror}")
    try:
        return _reserve(fallback, size), str(fallback)
    except OSError as error:
        reasons.append(f"{fallback}: {error.strerror}")
    raise UserError(
        f"no room for {size / 2**20:.0f} MiB of shared memory ({'; '.join(reasons)}): lower --replay_capacity "
        "or put --run_dir on a larger disk"
    )


def _reserve(folder: pathlib.Path, size: int) -> int:
    path = folder / f"rtrl_jax-{os.getpid()}-{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    if descriptor <= 2:  # a standard stream was closed: a child would take the board for it
        low, descriptor = descriptor, fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(low)
    try:
        # Reserved now, a shortage is an error here; touched later, it would be a bus error in some worker.
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def private(size: int) -> mmap.mmap:
    """Memory of this process alone, for a run without others. Raises UserError if there is not enough."""
    if size > LARGEST_SHARE_OF_FREE_MEMORY * memory.available():
        raise UserError(f"no room for {size / 2**20:.0f} MiB in memory: lower --replay_capacity")
    return mmap.mmap(-1, size)


def attach(descriptor: int) -> mmap.mmap:
    """Maps the whole segment, for reading and writing.

    Every page at once, so that no page fault comes at a boundary, unless there are so many that this would take seconds.
    """
    size = os.fstat(descriptor).st_size
    populate = mmap.MAP_POPULATE if size <= MOST_POPULATED else 0
    return mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | populate)


STAGGER, TURN = 0, 1  # the locks there are


@contextmanager
def exclusive(descriptor: int, byte: int = STAGGER, wait: bool = True):
    """Serialises a short section among processes with a record lock, which the kernel frees when its holder dies.

    Args:
      byte: which of the locks.
      wait: False raises BlockingIOError if another process holds it.
    """
    fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, byte)
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)


_BARRIER = threading.Lock()


def fence() -> None:
    """Orders the stores before it against the loads after it: a locked instruction is a full barrier on x86-64."""
    _BARRIER.acquire()
    _BARRIER.release()
