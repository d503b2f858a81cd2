"""The old name of `rtrl_jax.page.listener`."""

from rtrl_jax.page.listener import Listener as Door  # noqa: F401
from rtrl_jax.page.listener import check_port, is_loopback, opened  # noqa: F401
