"""A file is there and whole, or it is as it was."""

import json
import math

import numpy as np
import pytest

from rtrl_jax.telemetry.files import write_atomically, write_json, write_text


def test_a_file_that_fails_half_way_leaves_the_one_there_was(tmp_path):
    def fail(file):
        file.write(b"half")
        file.flush()
        raise OSError

    write_text(tmp_path / "file", "before")
    with pytest.raises(OSError):  # noqa: PT011
        write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "before"


def test_what_is_written_as_json_is_strict_json(tmp_path):
    value = {"a": math.nan, "b": [1, -math.inf, {"c": np.float64("nan")}], "d": (math.inf, "NaN"), "e": 2.5, "f": None}
    write_json(tmp_path / "file", value)
    text = (tmp_path / "file").read_text()
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert read == {"a": None, "b": [1, None, {"c": None}], "d": [None, "NaN"], "e": 2.5, "f": None}
    assert value["d"] == (math.inf, "NaN")
