"""Measures one inference and one update beside other engines' and writes results/bench.json and results/bench.md.

python benchmarks/speed.py                     both depths, one pinned core, in turn; leave the machine alone meanwhile
python benchmarks/speed.py --only=inference --k=1/16,1,7 --depth=15 --repeats=2 --seconds=2   in five minutes

Rows of the other benchmarks that belong in the same table are taken over from their files, as last measured.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytorch_environment
from absl import flags

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.summary import machine, versions

PARTS = ("inference", "update")
ONLY = flags.DEFINE_list("only", list(PARTS), "parts to measure")
K = flags.DEFINE_list(
    "k", ["1/16", "1", "7", "29", "98"], "widths; updates are measured up to 7, 98 once, with 15 layers"
)
DEPTH = flags.DEFINE_list("depth", ["15", "30"], "layers")
REPEATS = flags.DEFINE_integer("repeats", 3, "how often both sides are measured in turn", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 3.0, "for each configuration of each side", lower_bound=0.05)
CORE = flags.DEFINE_integer("core", 0, "where both sides run", lower_bound=0)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

HERE = pathlib.Path(__file__).parent
WIDEST_UPDATE, WIDEST_DEEP, WIDEST_REPEATED = 7, 29, 29
# Name, the benchmark that measures it, its figure there, the figure it is compared with.
OTHERS = [
    ("decision overhead, median", "realtime", "decision overhead p50", None),
    ("decision overhead, p99", "realtime", "decision overhead p99", None),
    ("taking the newest snapshot, 100 M", "realtime", "newest snapshot at 100 M", None),
    ("publishing a snapshot, 100 M, beside memcpy", "realtime", "publishing at 100 M", "copying as many bytes"),
    ("replay: keeping a transition", "learning", "keeping a transition, in the environment's process", None),
    ("replay: sampling 16 of 1 M", "learning", "uniform sampling of 16 from 1 M", None),
    ("replay: sampling 16 of 1 M, prioritised", "learning", "prioritised sampling of 16 from 1 M", None),
    ("a frame of a Game Boy game", "realtime", "Game Boy: frames a second on one core", None),
    ("a frame of an Atari game", "realtime", "Atari: frames a second on one core", None),
    (
        "virtual time, no network: a tick, beside the bare environment",
        "virtual",
        "steps a second without a network, Boxing, delay 8",
        "the bare environment",
    ),
    (
        "virtual time, training at k = 1/16: a tick, beside a plain PyTorch loop",
        "virtual",
        "training, k = 1/16, Boxing, delay 8",
        "the same in a plain PyTorch loop, k = 1/16",
    ),
]
GOALS = {  # most, as a ratio to the fastest of the others with numbers as short; of updates, of the 15 layers
    ("inference", "float32"): {"1/16": 0.8, "1": 0.95, "7": 0.7, "29": 0.7},
    ("inference", "bfloat16"): {"1": 1.1, "7": 1.1, "29": 1.1},
    ("inference", "int8"): {"7": 1.2, "29": 1.2},
    ("update", "float32"): {"1/16": 0.9, "1": 0.8, "7": 0.7},
}
PEERS = {"inference": ("speed_torch.py", "speed_engines.py"), "update": ("speed_torch.py",)}


def main() -> None:
    rows = [(part, depth, k) for part in ONLY.value for depth in DEPTH.value for k in K.value]
    for part, depth, k in rows:
        if part not in PARTS or depth not in ("15", "30"):
            raise UserError(f"--only={part} --depth={depth}: there are {' and '.join(PARTS)}, of 15 and 30 layers")
        width(k)
    if not (rows := [row for row in rows if _is_wanted(*row)]):
        raise UserError(f"--k={','.join(K.value)}: updates are measured up to {WIDEST_UPDATE}")
    pytorch_environment.make()
    out = pathlib.Path(OUT.value)
    out.mkdir(exist_ok=True)
    path = out / "bench.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    kept = {row["name"]: row for row in before if row["name"].split(", ")[0] in PARTS}
    for part, depth, k in rows:
        kept |= {row["name"]: row for row in measure(part, depth, k)}
        # After each row, as all of them take long.
        write(out, [*sorted(kept.values(), key=_order), *others(out)])
    print((out / "bench.md").read_text())


def _is_wanted(part: str, depth: str, k: str) -> bool:
    return width(k) <= (WIDEST_UPDATE if part == "update" else WIDEST_DEEP if depth == "30" else float("inf"))


def write(out: pathlib.Path, rows: list[dict]) -> None:
    report = {"machine": machine(), "versions": versions(), "rows": rows}
    write_json(out / "bench.json", report)
    write_text(out / "bench.md", table(report))


def others(out: pathlib.Path) -> list[dict]:
    """Rows of the other benchmarks, in milliseconds, beside what they are compared with if that was measured."""
    rows = []
    for name, source, ours, theirs in OTHERS:
        path = out / f"{source}.json"
        found = {row["name"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
        if ours not in found or (theirs and theirs not in found):
            continue
        ours_ms, theirs_ms = _ms(found[ours], "median"), theirs and _ms(found[theirs], "median")
        rows.append(
            {
                "name": name,
                "ours_ms": ours_ms,
                "theirs_ms": theirs_ms,
                "ratio": theirs_ms and ours_ms / theirs_ms,
                "spread": sorted(_ms(found[ours], end) for end in ("least", "most")),
                "spread_of": "ours_ms",
                "command": found[ours]["command"],
            }
        )
    return rows


def _ms(row: dict, which: str) -> float:
    return row[which] if row["unit"] == "ms" else 1e3 / row[which]  # a rate


def width(k: str) -> float:
    """'1/16' -> 0.0625. Raises UserError."""
    try:
        above, _, below = k.partition("/")
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        raise UserError(f"--k={k}: give widths such as 1/16,1,7") from None


def measure(part: str, depth: str, k: str) -> list[dict]:
    """A row for each number format that both have: all sides in turn, a process each time."""
    name = f"{part}, {depth} layers, k = {k}"
    ours, theirs = [], []
    repeats = REPEATS.value if width(k) <= WIDEST_REPEATED else 1
    for repeat in range(repeats):
        print(f"{name}: {repeat + 1} …", file=sys.stderr, flush=True)
        theirs.append([_side(pytorch_environment.PYTHON, script, part, depth, k) for script in PEERS[part]])
        ours.append(_side(sys.executable, "speed_ours.py", part, depth, k))
    engines = {engine: version for side in theirs[-1] for engine, version in side["versions"].items()}
    shared = {
        "plain_ms": float(np.median([side["plain_ms"] for side in ours])),
        "ours_how": ours[-1]["plan"],
        "engines": engines,
        "repeats": repeats,
        "load": os.getloadavg()[0],
        "command": " ".join(["python", *sys.argv]),
    }
    return [
        _row(name, dtype, [side["all"][dtype] for side in ours], [_peers(sides, dtype) for sides in theirs]) | shared
        for dtype in ours[-1]["all"]
    ]


def _peers(sides: list[dict], dtype: str) -> dict[str, float]:
    return {how: ms for side in sides for how, ms in side["all"].get(dtype, {}).items()}


def _row(name: str, dtype: str, ours: list[float], theirs: list[dict[str, float]]) -> dict:
    """Args: ours, theirs: milliseconds in each repeat; theirs in each of their configurations, of which the fastest counts."""
    part, layers, k = name.split(", ")
    medians = {how: float(np.median([ms[how] for ms in theirs])) for how in theirs[0]}
    best = min(medians, key=medians.get)
    ratios = [a / b[best] for a, b in zip(ours, theirs, strict=True)]
    has_goal = part == "inference" or layers == "15 layers"
    goal = GOALS.get((part, dtype), {}).get(k.removeprefix("k = ")) if has_goal else None
    return {
        "name": name if dtype == "float32" else f"{name}, {dtype}",
        "ours_ms": float(np.median(ours)),
        "theirs_ms": medians[best],
        "theirs_how": best,
        "peers": medians,
        "ratio": float(np.median(ratios)),
        "spread": [min(ratios), max(ratios)],
        "spread_of": "ratio",
        "goal": goal,
        "met": None if goal is None else bool(np.median(ratios) <= goal),
    }


def _side(python, script: str, part: str, depth: str, k: str) -> dict:
    command = ["taskset", "-c", str(CORE.value), python, HERE / script, part, depth, str(width(k)), str(SECONDS.value)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script} failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _order(row: dict):
    part, depth, k, *dtype = row["name"].split(", ")
    return PARTS.index(part), depth, width(k.removeprefix("k = ")), dtype


def _engine(row: dict) -> str:
    return row["theirs_how"].split(" channels_last")[0] if "peers" in row else "PyTorch"  # as all once were


def table(report: dict) -> str:
    speed = [row for row in report["rows"] if "plain_ms" in row]
    other = [row for row in report["rows"] if "plain_ms" not in row]
    engines = {"jax": report["versions"]["jax"]}
    engines |= {engine: version for row in speed for engine, version in row.get("engines", {}).items()}
    lines = [
        "# One inference and one update, beside PyTorch, ONNX Runtime and OpenVINO",
        "",
        "Medians of repeats on one pinned core, all sides in turn; the ratio is ours to the fastest of the others that",
        "multiplies numbers as short (float32 where none are named), with the least and the most of the repeats. bench.json",
        "has the others' times, the command of each row, and the load of the machine when it ended: above 1, something else",
        "was running. Inference is one frame to an action; the others' weights never change. An update is a batch of 16",
        "through both networks, back, clipping and Adam, and for us the preparation of the next snapshot, beside PyTorch alone.",
        f"Machine: {report['machine']['processor']}, {report['machine']['cores']} cores, "
        f"{report['machine']['memory_gib']} GiB, {report['machine']['system']}. "
        f"Python {report['versions']['python']}, " + ", ".join(map(" ".join, engines.items())) + ".",
        "",
        "| figure | ours, ms | plain Flax, ms | fastest other, ms | which | ratio | goal | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in speed:
        low, high = row["spread"]
        goal, met = "" if row["goal"] is None else f"≤ {row['goal']}", {True: "yes", False: "no", None: ""}[row["met"]]
        lines.append(
            f"| {row['name']} | {row['ours_ms']:.4g} | {row['plain_ms']:.4g} | {row['theirs_ms']:.4g} | {_engine(row)} "
            f"| {row['ratio']:.2f} ({low:.2f} – {high:.2f}) | {goal} | {met} |"
        )
    lines += [
        "",
        "What else a run does, as measured by the other benchmarks ([realtime](realtime.md), [learning](learning.md),",
        "[virtual](virtual.md)), which say more of each:",
        "",
        "| figure | ours, ms | least – most | other, ms | ratio |",
        "|---|---|---|---|---|",
    ]
    for row in other:
        low, high = row["spread"]
        beside = f"{row['theirs_ms']:.4g} | {row['ratio']:.2f}" if row["theirs_ms"] else " | "
        lines.append(f"| {row['name']} | {row['ours_ms']:.4g} | {low:.4g} – {high:.4g} | {beside} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_command(main))
