"""The state of a random generator as six words on the board, so that whoever takes its place goes on where it was."""

import numpy as np

_LOW = (1 << 64) - 1


def note(generator: np.random.Generator, words: np.ndarray) -> None:
    """Writes a PCG64's state. Args: words: uint64 [RANDOM_WORDS], written by the generator's owner alone.

    A reader who catches it half written sees a state that the generator never had, but a sound one.
    """
    state = generator.bit_generator.state
    value, increment = state["state"]["state"], state["state"]["inc"]
    words[:] = (
        value >> 64,
        value & _LOW,
        increment >> 64,
        increment & _LOW,
        state["has_uint32"],
        state["uinteger"],
    )


def restore(generator: np.random.Generator, words: np.ndarray) -> None:
    """Takes over a state that `note` has written."""
    high, low, increment_high, increment_low, has_uint32, uinteger = (int(word) for word in words)
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": increment_high << 64 | increment_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
