"""Pictures of every kind, through the command line as a user types it, and what their titles say of made-up data."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from absl import flags
from conftest import ROOT
from scipy import stats
from telemetry.records import records

from rtrl_jax.errors import UserError
from rtrl_jax.plots import against, diagnostics, histograms, learning, sources, style, timeline, workers
from rtrl_jax.statistics import half_width
from rtrl_jax.telemetry.files import write_arrays
from rtrl_jax.telemetry.recorder import columns


def make_run(folder, seed=0, stagger="ticket", reward=1.0):
    """A run folder with episodes of 20 ticks, of which each is worth `reward`."""
    folder.mkdir(parents=True)
    run = records(600)
    run["ticks"]["episode"] = np.arange(600) // 20
    run["ticks"]["terminated"] = np.arange(600) % 20 == 19
    run["ticks"]["reward"] = reward / 20
    updates, each = run["updates"], np.arange(150)
    updates["q"], updates["target_q"], updates["inactive"] = (
        each,
        each + 1,
        np.where(each % 64 == 0, 0.2 + each / 640, np.nan),
    )
    for kind in ("ticks", "decisions", "updates"):
        write_arrays(folder / f"{kind}.npz", columns(run[kind]))
    summary = {
        "environment": "gymnasium/Made-up",
        "interaction": "async",
        "rate_hz": 100.0,
        "inference": {"workers": 3, "stagger": stagger, "emulated": None},
        "delay": {"mean": 3.0},
        "parameters": 55_000,
        "episodes": {"return_mean": reward},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "flags.txt").write_text(f"--stagger={stagger}\n--seed={seed}\n# --run_dir={folder}\n")
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    made = {"none": (1.0, 1.1, 1.2), "ticket": (3.0, 3.3, 3.1)}
    return {
        way: [make_run(tmp_path / f"{way}-{seed}", seed, way, reward) for seed, reward in enumerate(rewards)]
        for way, rewards in made.items()
    }


def table(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def plot(*given):
    command = [sys.executable, str(ROOT / "launch" / "plot.py"), *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def scaling(path):
    rows = [
        {"tau_ticks": tau, "parameters": size, "algorithm": name, "workers": tau, "obtained": tau * factor}
        for tau, size in ((1, 1e6), (10, 1e8))
        for name, factor in (("ticket", 1), ("max_time", 2))
    ]
    return table(path, rows)


def returns(path, x):
    rows = [
        {x: value, "return": 10 * value + seed, "seed": seed, "series": "ticket"}
        for value in (1, 8)
        for seed in (0, 1, 2)
    ]
    return table(path, rows)


def test_every_kind_at_the_command_line(tmp_path, runs, monkeypatch, capsys):
    """In one process, since importing matplotlib takes a second each time."""
    known = set(flags.FLAGS)

    from rtrl_jax.commands import plot as command
    from rtrl_jax.flags import run_command

    everything = ",".join(runs["none"] + runs["ticket"])
    kinds = {
        "timeline": [f"--runs={runs['none'][0]},{runs['ticket'][0]}"],
        "learning": [f"--runs={everything}", "--x=time"],
        "diagnostics": [f"--runs={everything}"],
        "histograms": [f"--runs=a={everything}"],
        "delay": [f"--results={returns(tmp_path / 'delay.csv', 'delay')}"],
        "parameters": [f"--results={returns(tmp_path / 'size.csv', 'parameters')},{runs['ticket'][0]}"],
        "workers": [f"--results={scaling(tmp_path / 'scaling.csv')}"],
    }
    assert set(kinds) == set(command.KINDS)
    try:
        for kind, given in kinds.items():
            flags.FLAGS.unparse_flags()
            out = tmp_path / "pictures" / kind
            status = run_command(command.main, ["plot.py", f"--kind={kind}", *given, f"--out={out}"])
            assert status == 0, capsys.readouterr().err
            assert (tmp_path / "pictures" / f"{kind}.png").read_bytes().startswith(b"\x89PNG")
            assert b"<svg" in (tmp_path / "pictures" / f"{kind}.svg").read_bytes()[:1000]
    finally:
        for name in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, name)


def test_a_picture_that_is_there_is_left_alone(tmp_path, runs):
    (tmp_path / "timeline.png").write_text("precious")
    done = plot(f"--runs={runs['none'][0]}", f"--out={tmp_path}/timeline.png")
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (tmp_path / "timeline.png").read_text() == "precious"
    done = plot(f"--runs={runs['none'][0]}", f"--out={tmp_path}/timeline.png", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "--runs"),
        (["--kind=delay", "--runs=x"], "--results"),
        (["--kind=workers", "--results=a.csv,b.csv"], "one table"),
        (["--runs=/no/such/run"], "no finished run"),
        (["--kind=learning", "--runs=/no/such/run"], "no finished run"),
        (["--kind=delay", "--results=/no/such.csv"], "cannot be read"),
        (["--runs=x", "--out=picture.pdf"], ".png or .svg"),
        (["--runs=x", "--title=a", "--title=b"], "2 times"),
        (["--kind=pie"], "pie"),
    ],
)
def test_bad_input(tmp_path, given, says):
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch" / "plot.py"), *given],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_runs_that_differ_by_their_seed_make_a_group(runs):
    groups = sources.group(runs["none"] + runs["ticket"])
    assert [(group.label, len(group.runs)) for group in groups] == [("stagger=none", 3), ("stagger=ticket", 3)]
    assert [group.label for group in sources.group(runs["none"])] == ["gymnasium/Made-up"]
    named = sources.group([f"ours={runs['ticket'][0]}", runs["ticket"][1], f"theirs={runs['none'][0]}"])
    assert [(group.label, len(group.runs)) for group in named] == [("ours", 2), ("theirs", 1)]
    with pytest.raises(UserError, match="label"):
        sources.group([runs["none"][0], f"ours={runs['ticket'][0]}"])


def test_how_long_a_run_went_on_is_no_name(tmp_path):
    folders = [make_run(tmp_path / name) for name in ("a", "b")]
    for folder, duration in zip(folders, (60, 3600), strict=True):
        with open(f"{folder}/flags.txt", "a") as file:
            file.write(f"--duration_s={duration}\n")
    groups = sources.group(folders)
    assert [(group.label, group.name) for group in groups] == [("a", "a"), ("b", "b")]
    other = sources.group([folders[0], make_run(tmp_path / "c", stagger="none")])
    assert [(group.label, group.name) for group in other] == [
        ("stagger=ticket", "a (stagger=ticket)"),
        ("stagger=none", "c (stagger=none)"),
    ]


def test_histograms_are_called_by_their_runs(tmp_path, runs):
    figure = histograms.draw(sources.group([*runs["none"], runs["ticket"][0]]))
    titles = [axes.get_title(loc="left") for axes in figure.axes[::2]]
    assert titles == ["none-0 and 2 more (stagger=none)", "ticket-0 (stagger=ticket)"]
    assert figure.get_suptitle().startswith("none-0 and 2 more (stagger=none): 100%")
    (ours,) = sources.group([f"ours={runs['none'][0]}"])
    assert histograms.draw([ours]).axes[0].get_title(loc="left") == "ours"


def test_every_worker_has_a_row_in_the_timeline(tmp_path):
    run = sources.load(make_run(tmp_path / "run"))
    run.summary["inference"]["workers"] = 5
    figure = timeline.draw([run], None, first_tick=100, ticks=16)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["acts", *(f"worker {number}" for number in range(5))]


def test_a_curve_is_the_mean_over_seeds_with_student_s_interval(runs):
    (group,) = sources.group([f"ours={runs['ticket'][0]}", *runs["ticket"][1:]])
    one = learning.curve(group, "ticks", window=5)
    assert (one.x[0], one.x[-1], one.seeds) == (20, 600, 3)
    assert one.mean == pytest.approx(np.full(len(one.x), np.mean([3.0, 3.3, 3.1])))
    low, high = stats.t.interval(0.95, 2, loc=np.mean([3, 3.3, 3.1]), scale=stats.sem([3, 3.3, 3.1]))
    assert one.half == pytest.approx(np.full(len(one.x), (high - low) / 2))
    assert half_width([1.0]) is None


def test_a_run_s_curve_is_the_mean_of_the_last_episodes(tmp_path):
    run = sources.load(make_run(tmp_path / "run"))
    run.ticks["reward"][:] = np.where(run.ticks["episode"] < 10, 0.0, 0.05)
    when, value = learning.smoothed(run, "time", window=4)
    assert when[:2] == pytest.approx([0.2, 0.4])
    assert value[8:15] == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])


def test_diagnostics_are_means_of_parts_and_of_what_was_counted(tmp_path):
    (group,) = sources.group([f"ours={make_run(tmp_path / 'run')}"])
    one = diagnostics.read(group.runs[0])
    assert one.values["q"] == pytest.approx(np.arange(150))
    assert one.updates["inactive"].tolist() == [0, 64, 128]
    assert one.values["inactive"] == pytest.approx([0.2, 0.3, 0.4])
    assert diagnostics.finding([("ours", [one, one])]) == "ours: inactive units rise from 20% to 40%"
    same = one._replace(values=one.values | {"inactive": np.full(3, 0.5)})
    assert diagnostics.finding([("ours", [same])]) == "ours: 50% of the hidden units are inactive throughout"
    (tmp_path / "run" / "updates.npz").unlink()
    with pytest.raises(UserError, match="no diagnostics of learning"):
        diagnostics.read(group.runs[0])


def test_titles_state_what_is_found(tmp_path, runs):
    groups = sources.group(runs["none"] + runs["ticket"])
    curves = [learning.curve(group, "ticks", 20) for group in groups]
    assert learning.finding(curves) == "At the end stagger=ticket earns 3.13 an episode, stagger=none 1.1"
    close = [curves[0], curves[0]._replace(label="other", mean=curves[0].mean + 0.01)]
    assert "tell from chance" in learning.finding(close)
    assert "stays at" in learning.finding(curves[:1])
    run = groups[1].runs[0]
    assert timeline.finding(run, 101, 8) == "3 workers, tickets: an action at every tick; actions are 3 ticks old"
    assert "β acts on 2 of 16 ticks" in timeline.finding(run, 100, 16)
    said = histograms.finding([("ours", *histograms.distributions(groups[1]))])
    assert said == "ours: 100% of the actions are 3 ticks old; inference takes 25 ± 0 ms"
    assert "ticket (ours) acts at every tick with 10 workers;\nAlgorithm 1 needs 20" in workers.finding(
        workers.read(scaling(tmp_path / "n.csv"))
    )
    rising = against.read([returns(tmp_path / "d.csv", "delay")], "delay")
    assert (
        against.finding(against.points(rising), "delay")
        == "ticket: the return rises from 11 to 81 from delay 1 to delay 8"
    )
    unsure = [against.Row("", "a", x, y, y - 5, y + 5) for x, y in ((1, 10), (4, 8))]
    assert "none that its intervals can tell" in against.finding(against.points(unsure), "delay")
    both = [against.Row("", name, x, sign * x) for name, sign in (("a", 1), ("b", -1)) for x in (1, 2)]
    assert against.finding(against.points(both), "parameters") == "With size the return falls for b and rises for a"


def test_return_against_delay_comes_from_evaluations_runs_and_tables(tmp_path, runs):
    report = {"rows": [{"environment": "e", "policy": "random", "delay": 4, "mean": 1.5, "mean_interval": [1, 2]}]}
    (tmp_path / "summary.json").write_text(json.dumps(report))
    assert against.read([str(tmp_path)], "delay") == [("e", "random", 4, 1.5, 1, 2)]
    assert against.read([runs["ticket"][0]], "delay") == [("gymnasium/Made-up", "ticket", 3.0, 3.0, None, None)]
    assert against.read([runs["ticket"][0]], "parameters")[0].x == 55_000
    with pytest.raises(UserError, match="parameters"):
        against.read([str(tmp_path)], "parameters")
    with pytest.raises(UserError, match="no column 'return'"):
        against.read([table(tmp_path / "t.csv", [{"delay": 1, "score": 2}])], "delay")
    with pytest.raises(UserError, match="no point"):
        against.read([table(tmp_path / "t.csv", [{"delay": "one", "return": 2}])], "delay")


def test_lines_differ_by_more_than_their_colour():
    for looks in (style.looks(list(style.WAYS)), style.looks(list("abcdefg"))):
        assert len({look.mark for look in looks}) == len({look.dashes for look in looks}) == len(looks)
    assert style.looks(["stagger=ticket"]) == style.looks(["ticket"])
