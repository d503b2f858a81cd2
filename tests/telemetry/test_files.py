"""A file is there and whole, or it is as it was; and what cannot be written is known beforehand."""

import json
import math
import pathlib

import numpy as np
import pytest

from rtrl_jax import UserError
from rtrl_jax.telemetry.files import check_file, check_folder, write_atomically, write_json, write_text


def test_a_file_that_fails_half_way_leaves_the_one_there_was(tmp_path):
    def fail(file):
        file.write(b"half")
        file.flush()
        raise OSError

    write_text(tmp_path / "file", "before")
    with pytest.raises(OSError):  # noqa: PT011
        write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "before"


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.png").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    assert check_file(f"{tmp_path}/new.png") == tmp_path / "new.png"
    assert check_file(tmp_path / "not" / "yet" / "new.png") == tmp_path / "not" / "yet" / "new.png"
    assert check_file(tmp_path / "old.png", overwrite=True) == tmp_path / "old.png"
    assert check_folder(tmp_path / "empty") == tmp_path / "empty"
    assert check_folder(tmp_path / "not" / "yet") == tmp_path / "not" / "yet"
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old.png").read_text() == "precious"


def test_the_home_folder_by_its_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_file("~/new.png") == tmp_path / "new.png"


@pytest.mark.parametrize("check", [check_file, check_folder])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("old/", "already"),
        ("old/file", "is there already|is no folder"),
        ("link", "is there already|is no folder"),
        ("old/file/new", "cannot be written"),
        ("link/new", "cannot be written"),
        ("a" * 300, "cannot be written .File name too long"),
        ("new/" + "a" * 300 + "/new", "cannot be written .File name too long"),
        ("/proc/new", "cannot be written"),  # not even by root
        ("/proc/new/new", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path, check, place, says):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"^--record=.*({says})") as error:
        check(pathlib.Path(tmp_path, place), "--record")
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_written_as_json_is_strict_json(tmp_path):
    value = {"a": math.nan, "b": [1, -math.inf, {"c": np.float64("nan")}], "d": (math.inf, "NaN"), "e": 2.5, "f": None}
    write_json(tmp_path / "file", value)
    text = (tmp_path / "file").read_text()
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert read == {"a": None, "b": [1, None, {"c": None}], "d": [None, "NaN"], "e": 2.5, "f": None}
    assert value["d"] == (math.inf, "NaN")
