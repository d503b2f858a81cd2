"""The state of an environment as bytes: JSON, with binary parts and arrays in base64. Nothing is pickled.

What an environment of the user's own saves, or fails to, must not end a run: `why_not` tries it before the start, and
`whole_state` leaves out what cannot be saved and says why.
"""

import base64
import json

import numpy as np

from rtrl_jax.board.layout import ENVIRONMENT_BYTES
from rtrl_jax.environments.protocol import Environment

KINDS = "biufcSU"  # of array elements: numbers and text, which are the same wherever they are read
BYTES, ARRAY = "base64", "numpy array"  # the one key of a dictionary that stands for something else
LONGEST_REASON = 200  # characters


def encode(saved: dict) -> bytes:
    """Args: saved: plain values, bytes, numpy arrays and scalars, as `environment.save()` returns them.

    Raises TypeError or ValueError if there is something else in it.
    """
    return json.dumps(saved, default=_binary).encode()


def decode(data: bytes) -> dict:
    """What was encoded; tuples come back as lists, and keys that were numbers as text. Raises ValueError."""
    try:
        return json.loads(data, object_hook=_from_binary)
    except TypeError as error:
        raise ValueError(str(error)) from None


def why_not(environment: Environment) -> str | None:
    """Tries to save a fresh environment and to go on from that. Leaves it at the beginning of an episode.

    Returns:
      Why it cannot be saved, in words that go on "it cannot be saved: …". None if it can, and also if it does not
      offer to, or cannot even be reset, which the run itself will say.
    """
    try:
        environment.reset(seed=0)
    except (Exception, SystemExit):
        return None
    try:
        saved = environment.save()
        if saved is None:
            return None
        data = encode(saved)
    except (Exception, SystemExit) as error:
        return _reason(error)
    if len(data) > ENVIRONMENT_BYTES:
        return _too_large(len(data))
    try:
        environment.restore(decode(data))
    except (Exception, SystemExit) as error:
        return f"going on from what it saved fails, {_reason(error)}"
    return None


def whole_state(environment: Environment, dispatcher, refused: str | None = None, keeper=None) -> bytes:
    """What a checkpoint keeps of an environment, of the `Ticket` that serves it (or None) and of the `Keeper` of its replay, if
    there is one: the keys environment, ticket and replay.

    Without the environment's part if it has none or one that cannot be saved; cannot_be_saved then says why, if there
    is more to say than that it does not offer to. Whatever its `save` raises ends here.

    Args:
      refused: why nothing of the environment is to be saved, as `why_not` found; None: try.

    Returns:
      At most ENVIRONMENT_BYTES.
    """
    rest = {"ticket": dispatcher.save() if dispatcher else None} | ({"replay": keeper.save()} if keeper else {})
    if refused is None:
        try:
            whole = encode({"environment": environment.save(), **rest})
            if len(whole) <= ENVIRONMENT_BYTES:
                return whole
            refused = _too_large(len(whole))
        except Exception as error:
            refused = _reason(error)
    return encode({"environment": None, **rest, "cannot_be_saved": refused})


def _reason(error: Exception) -> str:
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]} …"


def _too_large(size: int) -> str:
    return f"its state takes {size:,} bytes, and there is room for {ENVIRONMENT_BYTES:,}"


def _binary(value):
    if isinstance(value, bytes):
        return {BYTES: base64.b64encode(value).decode()}
    if (type(value) is np.ndarray or isinstance(value, np.generic)) and value.dtype.kind in KINDS:
        return {ARRAY: [value.dtype.str, list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    kind = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise TypeError(f"{kind} in what it saves: only plain values, bytes and arrays of numbers or text can be kept")


def _from_binary(value: dict):
    if value.keys() == {BYTES}:
        return base64.b64decode(value[BYTES])
    if value.keys() == {ARRAY}:
        return _array(*value[ARRAY])
    return value


def _array(dtype: str, shape: list[int], content: str):
    """A writable array, or a scalar if there are no axes."""
    kind = np.dtype(dtype)
    if kind.kind not in KINDS:
        raise ValueError(f"an array of {kind}")
    return np.frombuffer(base64.b64decode(content), kind).reshape(shape).copy()[()]
