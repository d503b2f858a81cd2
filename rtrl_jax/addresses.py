"""Ports and hosts that something is served on: what can be said of them without opening one."""

import ipaddress

from rtrl_jax.errors import UserError

HIGHEST_PORT = 65535


def check_port(port: int, flag: str = "--page") -> None:
    """Raises UserError."""
    if not 0 <= port <= HIGHEST_PORT:
        raise UserError(f"{flag}={port}: a port is a number up to {HIGHEST_PORT}, or 0 for any that is free")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
