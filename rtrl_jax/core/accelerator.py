"""The device that networks run on: this machine's CPU, in place on the board's memory, or one that gets copies of it."""

import os
from contextlib import contextmanager

from rtrl_jax.errors import UserError

IN_PLACE = "cpu"


def find(name: str):
    """The JAX device, None for networks in place.

    Args:
      name: "cpu", or a platform that JAX knows, maybe with a number: "gpu", "gpu:1". "cpu:0" is the CPU treated as one.

    Raises:
      UserError: there is no such device.
    """
    import jax  # not above: the environment's process knows this module and needs no JAX

    if name == IN_PLACE:
        jax.config.update("jax_platforms", "cpu")  # or all else would be computed on an accelerator if there is one
        return None
    platform, _, number = name.partition(":")
    if not platform or not (number or "0").isdecimal():
        raise UserError(f"--device={name}: give cpu, gpu, or gpu: and a number from 0 on")
    os.environ.update(environment(name))
    try:
        devices = jax.devices(platform)
    except RuntimeError:
        raise UserError(
            f"--device={name}: JAX finds no {platform} here; install JAX for it, or leave --device at cpu"
        ) from None
    if int(number or 0) >= len(devices):
        raise UserError(f"--device={name}: JAX finds {len(devices)} of these, numbered from 0")
    return devices[int(number or 0)]


def environment(name: str) -> dict[str, str]:
    """Variables of a process that will use that device, to be set before it imports JAX."""
    if name.partition(":")[0] == IN_PLACE:
        return {"JAX_PLATFORMS": "cpu"}
    # Each process takes of its memory what it needs, not three quarters at once.
    return {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class Copies:
    """A `board.snapshots.Reader` whose snapshots are copied to an accelerator, once for each version."""

    def __init__(self, reader, device):
        """Args: reader: hands out trees of arrays on the board."""
        self._reader, self._device = reader, device
        self._version, self._tree = None, None

    @contextmanager
    def pinned(self):
        """As the reader's; the slot is held only while it is copied."""
        import jax
        import jax.numpy as jnp

        with self._reader.pinned() as (version, tree):
            if version != self._version:
                # jax.device_put would share the board's memory where the accelerator is the CPU.
                copied = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True, device=self._device), tree)
                self._version, self._tree = version, jax.block_until_ready(copied)
        yield self._version, self._tree

    def newest_version(self) -> int:
        return self._reader.newest_version()
