"""Does it learn? Runs configs/learns-*.flags in real time with several seeds, evaluates the checkpoints, and draws the curves.

  python benchmarks/learns.py                       both games, three seeds: 20 minutes; leave the machine alone meanwhile
  python benchmarks/learns.py --games=cartpole --seeds=0

It writes results/learning_curves/: curves.csv, curves.json, curves.md, curves.png and curves.svg. The runs stay in --runs, and a
run that is already there is not made again.
"""

import csv
import io
import json
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np
from absl import flags

from rtrl_jax.checkpoints import store
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import scores
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.summary import machine, versions

matplotlib.use("Agg")

GAMES = {"cartpole": ("gymnasium/CartPole-v1", "CartPole"), "duel": ("gameboy/duel-catching", "Duel, catching")}
CHOSEN = flags.DEFINE_list("games", list(GAMES), f"of {', '.join(GAMES)}")
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "a run for each")
EPISODES = flags.DEFINE_integer("episodes", 20, "played with each checkpoint", lower_bound=2)
POINTS = flags.DEFINE_integer(
    "points", 6, "checkpoints of each run that are evaluated, the first and the last among them"
)
EPSILON = flags.DEFINE_float("epsilon", 0.05, "while evaluating")
RUNS = flags.DEFINE_string("runs", "runs/learns", "folder of the runs")
OUT = flags.DEFINE_string("out", "results/learning_curves", "folder for the results")


def main() -> None:
    if unknown := set(CHOSEN.value) - set(GAMES):
        raise UserError(f"--games={unknown.pop()}: there are {', '.join(GAMES)}")
    points, runs = [], []
    for game in CHOSEN.value:
        for seed in SEEDS.value:
            run = train(game, seed)
            summary = json.loads((run / "summary.json").read_text())
            runs.append({"game": game, "seed": seed, **{k: summary[k] for k in ("seconds", "inaction", "lateness_ms")}})
            runs[-1]["updates"] = summary["learning"]["updates"]
            points += evaluate_run(game, seed, run)
        points += [{**point, "game": game} for point in baseline(game)]
    save(points, runs)


def train(game: str, seed: str) -> pathlib.Path:
    """A real-time run, unless it has been made before."""
    run = pathlib.Path(RUNS.value, f"{game}-{seed}")
    if not (run / "summary.json").exists():
        command = ["launch/run.py", f"--flagfile=configs/learns-{game}.flags", f"--seed={seed}", f"--run_dir={run}"]
        subprocess.run([sys.executable, *command], check=True)
    return run


def evaluate_run(game: str, seed: str, run: pathlib.Path) -> list[dict]:
    """The returns of some of a run's checkpoints."""
    checkpoints = store.whole(run)
    picked = np.unique(np.linspace(0, len(checkpoints) - 1, POINTS.value).round().astype(int))
    rate_hz, found = json.loads((run / "summary.json").read_text())["rate_hz"], []
    for number in picked:
        manifest = store.read_manifest(checkpoints[number])
        returns = play(
            game, run.parent / f"{run.name}-evaluated-{manifest['tick']}", f"--checkpoint={checkpoints[number]}"
        )
        point = {"game": game, "policy": f"seed {seed}", "minutes": manifest["tick"] / rate_hz / 60}
        found.append({**point, "updates": manifest["updates"], "returns": returns})
    return found


def baseline(game: str) -> list[dict]:
    """Random play, as often as all seeds together."""
    folder = pathlib.Path(RUNS.value, f"{game}-random")
    returns = play(game, folder, "--policy=random", f"--seeds={','.join(SEEDS.value)}")
    return [{"policy": "random", "minutes": 0.0, "updates": 0, "returns": returns}]


def play(game: str, folder: pathlib.Path, *how: str) -> list[float]:
    if not (folder / "summary.json").exists():
        command = ["launch/evaluate.py", *how, f"--environments={GAMES[game][0]}", f"--out={folder}"]
        command += [f"--episodes={EPISODES.value}", f"--epsilon={EPSILON.value}", "--max_ticks_per_episode=5000"]
        command += ["--rate_hz=100"] if game == "cartpole" else []
        subprocess.run([sys.executable, *command], check=True)
    with open(folder / "episodes.csv", newline="") as file:
        return [float(row["episode_return"]) for row in csv.DictReader(file)]


def save(points: list[dict], runs: list[dict]) -> None:
    out = pathlib.Path(OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["game", "policy", "minutes", "updates", "episodes", "mean_return"])
    for point in points:
        mean = f"{np.mean(point['returns']):.4f}"
        table.writerow(
            [point["game"], point["policy"], f"{point['minutes']:.3f}", point["updates"], len(point["returns"]), mean]
        )
    write_text(out / "curves.csv", text.getvalue())
    write_json(out / "curves.json", {"machine": machine(), "versions": versions(), "runs": runs, "points": points})
    write_text(out / "curves.md", as_text(points, runs))
    draw(points, out)
    print(as_text(points, runs))


def of(points: list[dict], game: str, policy: str) -> list[dict]:
    return [point for point in points if point["game"] == game and point["policy"] == policy]


def first_and_last(points: list[dict], game: str) -> tuple[np.ndarray, np.ndarray]:
    """Episode returns of all seeds' first and last checkpoints, each [seeds * episodes]."""
    curves = [of(points, game, f"seed {seed}") for seed in SEEDS.value]
    return tuple(np.concatenate([curve[i]["returns"] for curve in curves]) for i in (0, -1))


def as_text(points: list[dict], runs: list[dict]) -> str:
    here = machine()
    lines = [
        "# It learns",
        "",
        f"`python benchmarks/learns.py`: {len(SEEDS.value)} seeds, real time throughout, {EPISODES.value} episodes with each "
        f"checkpoint (ε = {EPSILON.value:g}).",
        f"Machine: {here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB, {here['system']}.",
        "",
        "| game | random play | at its start | at its end | wall clock a run | updates | inaction |",
        "|---|---|---|---|---|---|---|",
    ]
    for game in CHOSEN.value:
        returns = [np.array(of(points, game, "random")[0]["returns"]), *first_and_last(points, game)]
        figures = [f"{mean:.2f} ({low:.2f} … {high:.2f})" for mean, (low, high) in map(interval, returns)]
        mine = [run for run in runs if run["game"] == game]
        updates, seconds = [int(np.mean([run[key] for run in mine])) for key in ("updates", "seconds")]
        inaction = 100 * np.mean([run["inaction"] for run in mine])
        lines.append(
            f"| {GAMES[game][1]} | {' | '.join(figures)} | {seconds / 60:.0f} min | {updates} | {inaction:.2f} % |"
        )
    lines += [
        "",
        "Mean return of an episode, with 95 % bootstrap intervals over all seeds' episodes; `curves.csv` has every point, "
        "the flags are in `configs/learns-*.flags`.",
        "",
        "An untrained network with ε = 0.05 presses one button nearly all the time. In Duel that alone can win: with seed 1 it "
        "is the button that leads to the capsules (0.5), with seed 2 one that does not (−1).",
        "",
        "![Evaluated return against minutes of real time](curves.png)",
    ]
    return "\n".join(lines) + "\n"


def interval(returns) -> tuple[float, tuple[float, float]]:
    low, high = scores.interval([np.asarray(returns, float)], scores.mean)
    return float(np.mean(returns)), (float(low), float(high))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2f}"


def draw(points: list[dict], out: pathlib.Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(CHOSEN.value), figsize=(4.6 * len(CHOSEN.value), 3.6), squeeze=False)
    for axis, game in zip(axes[0], CHOSEN.value, strict=True):
        curves = [of(points, game, f"seed {seed}") for seed in SEEDS.value]
        for number, (seed, curve) in enumerate(zip(SEEDS.value, curves, strict=True)):
            axis.plot(
                [point["minutes"] for point in curve],
                [np.mean(point["returns"]) for point in curve],
                marker="os^Dv"[number % 5],
                color=("#1f4e79", "#b85c00", "#4b7a2a", "#7a3b78", "#555555")[number % 5],
                markersize=4,
                label=f"seed {seed}",
            )
        mean, (low, high) = interval(of(points, game, "random")[0]["returns"])
        axis.axhline(mean, color="0.35", linestyle="--", linewidth=1, label="random play")
        axis.axhspan(low, high, color="0.85")
        start, end = (float(np.mean(returns)) for returns in first_and_last(points, game))
        axis.set_title(f"{GAMES[game][1]}: {_short(start)} → {_short(end)}, random {_short(mean)}", fontsize=10)
        axis.set_xlabel("real time (minutes)")
        axis.set_ylabel("evaluated return of an episode")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(out / f"curves.{kind}", dpi=160)


if __name__ == "__main__":
    sys.exit(run_command(main))
