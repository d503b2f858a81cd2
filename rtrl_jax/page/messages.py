"""What goes between the server and a browser.

To the browser: a JSON object, then pictures as PNG, each part behind its length (uint32, little-endian). From the browser: small
JSON objects of known kinds, each with exactly the fields it should have.
"""

import json
import struct

import cv2
import numpy as np

from rtrl_jax.telemetry.files import as_json

LONGEST = 1024  # bytes from a browser
LARGEST_NUMBER = 2**53
FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def pack(header: dict, pictures: tuple[bytes, ...] = ()) -> bytes:
    """Args: header: plain values; NaN and infinities become null. pictures: from `png`."""
    parts = [as_json(header, separators=(",", ":")).encode(), *pictures]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def unpack(message: bytes) -> tuple[dict, list[bytes]]:
    """The inverse of `pack`."""
    parts, at = [], 0
    while at < len(message):
        (length,) = struct.unpack_from("<I", message, at)
        parts.append(message[at + 4 : at + 4 + length])
        at += 4 + length
    return json.loads(parts[0]), parts[1:]


def png(picture: np.ndarray) -> bytes:
    """Args: picture: uint8 [height, width, 1] or [height, width, 3], RGB."""
    picture = picture[..., ::-1] if picture.shape[-1] == 3 else picture
    return cv2.imencode(".png", np.ascontiguousarray(picture), FAST_PNG)[1].tobytes()


def parse(text: str | bytes | None, kinds: dict[str, dict[str, type]]) -> dict:
    """A browser's message.

    Args:
      kinds: the fields, int or str, of each kind of message that is expected.

    Raises:
      ValueError: it is none of them.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError("no short text")
    try:
        message = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str) or message["type"] not in kinds:
        raise ValueError("unknown kind")
    expected = kinds[message["type"]]
    if message.keys() != {"type", *expected}:
        raise ValueError("other fields")
    for name, kind in expected.items():
        if type(message[name]) is not kind or (kind is int and abs(message[name]) > LARGEST_NUMBER):
            raise ValueError(f"{name} is no {kind.__name__}")
    return message
