"""A file is there and whole, or it is as it was."""

import pytest

from rtrl_jax.telemetry.files import write_atomically, write_text


def test_a_file_that_fails_half_way_leaves_the_one_there_was(tmp_path):
    def fail(file):
        file.write(b"half")
        file.flush()
        raise OSError

    write_text(tmp_path / "file", "before")
    with pytest.raises(OSError):  # noqa: PT011
        write_atomically(tmp_path / "file", fail)
    assert (tmp_path / "file").read_text() == "before"
