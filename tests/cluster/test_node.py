"""The bridge on a crew's machine: what one that was killed has left there."""

import os
import subprocess
import sys

from rtrl_jax.cluster import node


def test_folders_of_bridges_that_were_killed_are_taken_away_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(node.tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {
        "killed": f"{node.PREFIX}{gone.pid}-a",
        "at work": f"{node.PREFIX}{os.getpid()}-b",
        "no one's": f"{node.PREFIX}x-c",
    }
    for name in (*names.values(), "rtrl_jax-other"):
        (tmp_path / name / "logs").mkdir(parents=True)
    node._sweep()
    assert {path.name for path in tmp_path.iterdir()} == {names["at work"], names["no one's"], "rtrl_jax-other"}
