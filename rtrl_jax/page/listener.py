"""Where a page is served: a listening socket, and the token without which nobody comes in from another machine."""

import importlib.util
import secrets
import socket
import threading
from contextlib import contextmanager, suppress
from typing import NamedTuple

from rtrl_jax.addresses import check_port, is_loopback
from rtrl_jax.errors import UserError

NEEDED = ("starlette", "uvicorn", "websockets")
UNSENT_MS = 10_000  # after which the kernel gives up a connection whose other end takes nothing
LOOK_UP_S = 1.0
ANYWHERE = ("203.0.113.1", 9)  # an address that documentation may use; nothing is sent there


class Listener(NamedTuple):
    """A bound socket; `token` is None on the loopback interface, where the machine itself keeps others out."""

    socket: socket.socket
    host: str
    token: str | None

    @property
    def url(self) -> str:
        """What a person opens in the browser."""
        port = self.socket.getsockname()[1]
        name = name_of_machine() if self.host in ("0.0.0.0", "::") else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{port}/" + (f"?token={self.token}" if self.token else "")


def name_of_machine() -> str:
    """What others may find this machine by: its name if that leads to an address, else its address."""
    name, found = socket.gethostname(), []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(answer[4][0] for answer in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))

    thread = threading.Thread(target=look_up, daemon=True)  # a name server that does not answer takes its time
    thread.start()
    thread.join(LOOK_UP_S)
    if any(not is_loopback(address) for address in list(found)):
        return name
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect(ANYWHERE)
        return way.getsockname()[0]
    return "127.0.0.1"


@contextmanager
def opened(port: int | None, host: str, flag: str = "--page"):
    """Yields a Listener, or None where no port is given. Raises UserError if there can be none."""
    if port is None:
        yield None
        return
    check_port(port, flag)
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise UserError(f"{flag} needs what serves pages: python -m pip install 'rtrl_jax[page]'")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise UserError(f"{flag}_host={host} is no address of this machine") from None
    with bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)
        try:
            bound.bind(address)
            bound.listen(64)
        except OSError as error:
            raise UserError(f"{flag}={port} on {host}: {error.strerror}; choose another port") from None
        yield Listener(bound, host, None if is_loopback(host) else secrets.token_urlsafe(16))
