"""Messages: what is packed comes out again, and what a browser should not send is refused."""

import json

import cv2
import numpy as np
import pytest

from rtrl_jax.page import messages

KINDS = {"seen": {"number": int}, "down": {"button": str}, "stop": {}}


def test_a_packed_message_comes_out_again():
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    header, pictures = messages.unpack(messages.pack({"type": "frame", "at": [1, None, "β"]}, (messages.png(picture),)))
    assert header == {"type": "frame", "at": [1, None, "β"]}
    decoded = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(decoded, picture)


def test_what_is_no_number_is_null():
    header, _ = messages.unpack(messages.pack({"loss": float("nan"), "at": [[1.5, -float("inf")]]}))
    assert header == {"loss": None, "at": [[1.5, None]]}


def test_grey_pictures_are_sent_too():
    assert messages.png(np.zeros((84, 84, 1), np.uint8)).startswith(b"\x89PNG")


@pytest.mark.parametrize("good", [{"type": "seen", "number": 3}, {"type": "down", "button": "A"}, {"type": "stop"}])
def test_what_is_expected_is_taken(good):
    assert messages.parse(json.dumps(good), KINDS) == good


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b'{"type":"stop"}',
        "",
        "no JSON",
        "[]",
        "3",
        "[" * 1000,
        '{"type":"stop"',
        '{"type":["stop"]}',
        '{"type":"other"}',
        '{"type":"stop","more":1}',
        '{"type":"seen"}',
        '{"type":"seen","number":"1"}',
        '{"type":"seen","number":true}',
        '{"type":"seen","number":1.0}',
        '{"type":"seen","number":' + "9" * 300 + "}",
        '{"type":"seen","number":NaN}',
        '{"type":"down","button":null}',
        '{"type":"down","button":"' + "x" * messages.LONGEST + '"}',
    ],
)
def test_what_is_malformed_is_refused(bad):
    with pytest.raises(ValueError):  # noqa: PT011
        messages.parse(bad, KINDS)
