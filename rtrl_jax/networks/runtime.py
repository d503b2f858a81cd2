"""JAX as every process of a run wants it: compiled programs kept on disk, nothing handed to other threads, memory kept."""

import ctypes

import jax

from rtrl_jax.networks import fast

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def configure() -> None:
    jax.config.update("jax_compilation_cache_dir", str(fast.cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a hand-over to another thread costs more than it hides
    keep_memory()


def keep_memory() -> None:
    """Memory that has been freed stays with the process.

    XLA asks for its working memory anew in each call; that of an update comes to 200 MB at k = 1, and the kernel's handing it
    out page by page took a quarter of the update.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # of glibc
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)):
            libc.mallopt(option, value)
