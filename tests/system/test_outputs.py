"""Programs that write one thing at their end: a place that cannot be written is refused before the work, in one line."""

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.parametrize("place", ["/proc/no/out", "there/out"])
@pytest.mark.parametrize(
    ("program", "ending", "flags"),
    [
        ("plot", ".png", ["--kind=workers", f"--results={ROOT}/results/scaling/workers.csv"]),
        ("plot", "", ["--kind=workers", f"--results={ROOT}/results/scaling/workers.csv"]),
        ("plan", ".json", ["--environment=gymnasium/CartPole-v1", "--inference_ms=10", "--learn_every=0"]),
        ("demonstrate", ".npz", ["--frames=1000000000"]),  # which would take months
        ("regret", "", []),
        ("play", ".npz", ["--page=0"]),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path, place, program, ending, flags):
    (tmp_path / "there").write_text("a file")
    flag = "--record" if program == "play" else "--out"
    command = [sys.executable, str(ROOT / "launch" / f"{program}.py"), *flags, f"{flag}={place}{ending}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"{flag}={place}" in done.stderr
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_demonstration_says_what_it_is_of_in_a_folder_that_is_made_for_it(tmp_path):
    from rtrl_jax import UserError
    from rtrl_jax.replay import demonstrations

    out = tmp_path / "new" / "stacks.npz"
    command = [sys.executable, str(ROOT / "launch" / "demonstrate.py"), "--frames=300", f"--out={out}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    buttons = ("A", "B", "LEFT", "UP", "RIGHT", "DOWN")
    demonstrations.read(out, (84, 84, 1), 6, demonstrations.Game("gameboy/stacks", buttons), pytest.fail)
    with pytest.raises(UserError, match="is of gameboy/stacks, not of gameboy/duel-battles"):
        demonstrations.read(out, (84, 84, 1), 6, demonstrations.Game("gameboy/duel-battles", buttons))
