"""Where a page is served: a listening socket, and the token without which nobody comes in from another machine."""

import importlib.util
import secrets
import socket
from contextlib import contextmanager
from typing import NamedTuple

from rtrl_jax.addresses import check_port, is_loopback
from rtrl_jax.errors import UserError

NEEDED = ("starlette", "uvicorn", "websockets")
UNSENT_MS = 10_000  # after which the kernel gives up a connection whose other end takes nothing


class Door(NamedTuple):
    """A bound socket; `token` is None on the loopback interface, where the machine itself keeps others out."""

    listener: socket.socket
    host: str
    token: str | None

    @property
    def url(self) -> str:
        """What a person opens in the browser."""
        port = self.listener.getsockname()[1]
        name = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{port}/" + (f"?token={self.token}" if self.token else "")


@contextmanager
def opened(port: int | None, host: str, flag: str = "--page"):
    """Yields a Door, or None where no port is given. Raises UserError if there can be none."""
    if port is None:
        yield None
        return
    check_port(port, flag)
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise UserError(f"{flag} needs what serves pages: python -m pip install 'rtrl_jax[page]'")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise UserError(f"{flag}_host={host} is no address of this machine") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)
        try:
            listener.bind(address)
            listener.listen(64)
        except OSError as error:
            raise UserError(f"{flag}={port} on {host}: {error.strerror}; choose another port") from None
        yield Door(listener, host, None if is_loopback(host) else secrets.token_urlsafe(16))
