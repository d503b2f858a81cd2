"""The state of an environment as bytes: JSON, with binary parts in base64. Nothing is pickled."""

import base64
import json

from rtrl_jax.board.layout import ENVIRONMENT_BYTES


def encode(saved: dict) -> bytes:
    """Args: saved: plain values, bytes among them, as `environment.save()` returns them."""
    return json.dumps(saved, default=_binary).encode()


def decode(data: bytes) -> dict:
    """What was encoded; tuples come back as lists. Raises ValueError."""
    return json.loads(data, object_hook=_from_binary)


def whole_state(environment, dispatcher) -> bytes:
    """What a checkpoint keeps of an environment and of the `Ticket` that serves it (or None).

    Without the environment's part if it has none, or one that is too large for its place on the board.
    """
    ticket = dispatcher.save() if dispatcher else None
    whole = encode({"environment": environment.save(), "ticket": ticket})
    return whole if len(whole) <= ENVIRONMENT_BYTES else encode({"environment": None, "ticket": ticket})


def _binary(value):
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot be saved")


def _from_binary(value: dict):
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value
