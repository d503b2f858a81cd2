"""What an evaluation writes: figures that can be had from its lines again."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from rtrl_jax.evaluation import table
from rtrl_jax.evaluation.episodes import Episode


def episodes(returns, won=None):
    return [Episode(0, i, float(value), 100 + i, 25, i % 2 == 0, 0, won) for i, value in enumerate(returns)]


def test_a_row():
    row = table.row("atari/Boxing", episodes([1, 2, 3, 10]), delay=3)
    assert (row["episodes"], row["mean"], row["median"], row["iqm"], row["delay"]) == (4, 4, 2.5, 2.5, 3)
    assert row["human_normalised"] == pytest.approx(3.9 / 4.2)
    assert row["mean_interval"][0] < 4 < row["mean_interval"][1]
    assert row["inaction"] == pytest.approx(100 / 406)
    assert (row["ticks_mean"], row["terminated"], row["wins"]) == (101.5, 0.5, None)
    assert table.row("gameboy/duel-battles", episodes([1, -1], won=True))["wins"] == 1


def test_all_games_together():
    known = {"atari/Boxing": episodes([0.1, 4.3]), "atari/Krull": episodes([1598, 2395])}
    assert table.together(known)["mean"] == pytest.approx(0.5)
    assert table.together({"atari/Boxing": known["atari/Boxing"]}) is None
    assert table.together({**known, "gymnasium/CartPole-v1": episodes([1])}) is None


def test_files(tmp_path):
    played = {"atari/Boxing": episodes([3, 1, 2])[::-1], "gymnasium/CartPole-v1": episodes([9])}
    rows = [table.row(name, some, delay=1) for name, some in played.items()]
    entries = [
        SimpleNamespace(environment=name, policy="random", action_every=4, episodes=some)
        for name, some in played.items()
    ]
    table.write(tmp_path, entries, {"rows": rows, "controls": None})
    with open(tmp_path / "episodes.csv") as file:
        lines = list(csv.DictReader(file))
    assert [line["episode_return"] for line in lines] == ["3.0", "1.0", "2.0", "9.0"]
    assert (lines[0]["policy"], lines[0]["action_every"]) == ("random", "4")
    with open(tmp_path / "summary.csv") as file:
        summary = list(csv.DictReader(file))
    assert float(summary[0]["mean"]) == np.mean([3, 1, 2])
    assert float(summary[0]["mean_low"]) <= 2 <= float(summary[0]["mean_high"])
    assert summary[1]["human_normalised_low"] == ""
    assert json.loads((tmp_path / "summary.json").read_text())["rows"][1]["mean"] == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episodes.csv", "summary.csv", "summary.json"]


def test_nothing_finished(tmp_path):
    table.write(tmp_path, [], {"rows": [], "controls": None})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"rows": [], "controls": None}


def test_it_is_shown(capsys):
    table.show([table.row("gameboy/duel-battles", episodes([1, -1], won=True), policy="noop", delay=None)], None)
    row = table.row("atari/Boxing", episodes([1, 2]), policy="random", delay=4)
    table.show([row], {"iqm": 0.5, "iqm_interval": (0.4, 0.6)})
    shown = capsys.readouterr().out
    assert "won" in shown
    assert "50.0% (40.0% – 60.0%)" in shown
    assert "95 % bootstrap intervals" in shown
