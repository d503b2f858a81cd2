"""Plain values, arrays and the workers' records as JSON and a dictionary of arrays, and back, to the bit. Nothing is pickled."""

import json

import numpy as np

from rtrl_jax.workers import effects, learner, mailbox

RECORDS = {  # what computations answer, and what that holds
    name: kind
    for module in (effects, learner, mailbox)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
}
ARRAY, TUPLE, DICT = (
    "array",
    "tuple",
    "dict",
)  # tags: what is neither plain nor a list is an object with one of them as its key


def pack(value) -> tuple[bytes, dict[str, np.ndarray]]:
    """Args: value: None, booleans, numbers, text, arrays and their elements; in lists, tuples, dictionaries and `RECORDS`.

    Arrays are copied. Raises TypeError if there is something else in it.
    """
    arrays: dict[str, np.ndarray] = {}

    def plain(value):
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [plain(item) for item in value]
        if type(value) is tuple:
            return {TUPLE: [plain(item) for item in value]}
        if type(value) is dict:
            return {DICT: [[plain(key), plain(item)] for key, item in value.items()]}
        if type(value).__name__ in RECORDS:
            return {type(value).__name__: [plain(item) for item in value]}
        if hasattr(value, "__array__"):  # JAX's too
            name = f"{len(arrays):06d}"
            arrays[name] = np.array(value)
            if arrays[name].dtype.kind in "biufcV" and (arrays[name].dtype.kind != "V" or arrays[name].dtype.names):
                return {ARRAY: name}
            raise TypeError(f"an array of {arrays[name].dtype} cannot be kept")
        raise TypeError(f"a {type(value).__name__} cannot be kept")

    return json.dumps(plain(value)).encode(), arrays


def unpack(data: bytes, arrays: dict[str, np.ndarray]):
    """What was packed; arrays of JAX are numpy's now. Raises ValueError or KeyError if it was not packed."""

    def value(found):
        if type(found) is list:
            return [value(item) for item in found]
        if type(found) is not dict:
            return found
        ((tag, content),) = found.items()
        if tag == ARRAY:
            return arrays[content][()]
        if tag == DICT:
            return {value(key): value(item) for key, item in content}
        items = [value(item) for item in content]
        return tuple(items) if tag == TUPLE else RECORDS[tag](*items)

    return value(json.loads(data))
