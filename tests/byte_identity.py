"""The gate of every change that moves wiring: a fixed set of virtual runs must record the same, to the byte, as another commit's.

  python tests/byte_identity.py --against=HEAD~1          # plays the set in that commit and in this tree, and compares
  python tests/byte_identity.py --save=before.json        # only plays it here, and keeps the hashes
  python tests/byte_identity.py --compare=before.json     # plays it here, and compares with hashes kept

Hashes are of the columns of ticks.npz, decisions.npz and updates.npz. They depend on the processor and on JAX's version, so none
are committed. A new column is named and is no difference. A setting that a commit does not have yet is left out there, since it
says what was so anyway. Exit status 1 if anything differs: a commit that mends a defect says what and why.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS = ("ticks", "decisions", "updates")
POLE = {
    "environment": "gymnasium/CartPole-v1",
    "rate_hz": 50,
    "clock": "virtual",
    "max_ticks": 500,
    "learn_start": 40,
    "learn_every": 4,
    "epsilon_steps": 60,
    "epsilon_per": "update",
    "target_every": 20,
    "checkpoint_every_s": 0,
    "learning_rate": 1e-3,
    "seed": 3,
}
SMALL = {
    "environment": "gameboy/duel-catching",
    "width": 1 / 16,
    "max_ticks": 160,
    "learn_start": 20,
    "epsilon_steps": 20,
    "epsilon_per": "update",
    "checkpoint_every_s": 0,
    "seed": 5,
}
GAMMA = {"inference_latency_ms": "gamma:50,20+outlier:0.01,300"}  # 2.5 ticks, now and then 15
SLOW_LEARNING = {"learning_latency_ms": "gamma:70,20"}
CASES = {
    "at once": POLE,
    "ticket": POLE | GAMMA | SLOW_LEARNING | {"inference_workers": "4"},
    "ticket, too few workers": POLE | GAMMA | {"inference_workers": "2"},
    "ticket, auto": POLE | GAMMA | {"inference_workers": "auto", "learner_workers": "auto"} | SLOW_LEARNING,
    "ticket, playout off": POLE | GAMMA | {"inference_workers": "4", "playout": "off"},
    "ticket, playout 4": POLE | GAMMA | {"inference_workers": "4", "playout": "4"},
    "max_time": POLE | GAMMA | {"inference_workers": "4", "stagger": "max_time"},
    "max_time, bounded": POLE | GAMMA | {"inference_workers": "4", "stagger": "max_time", "stagger_quantile": 0.9},
    "max_time, preset": POLE | GAMMA | {"inference_workers": "4", "stagger": "max_time", "tau_initial_ms": 80.0},
    "expected_time": POLE | GAMMA | {"inference_workers": "4", "stagger": "expected_time"},
    "none": POLE | GAMMA | {"inference_workers": "4", "stagger": "none"},
    "sequential": POLE | GAMMA | SLOW_LEARNING | {"interaction": "sequential"},
    "learn first": POLE | GAMMA | SLOW_LEARNING | {"interaction": "sequential_learn_first"},
    "sequential, scheduled": POLE | GAMMA | {"interaction": "sequential", "learning_schedule": "every:3"},
    "sequential, by decision": POLE
    | GAMMA
    | SLOW_LEARNING
    | {"interaction": "sequential", "learn_per": "decision", "epsilon_per": "decision"},
    "delay": POLE | {"delay": 3},
    "delay, sequential": POLE | {"delay": 3, "interaction": "sequential"},
    "delay, reference": POLE
    | {"delay": 3, "interaction": "sequential", "accounting": "reference", "epsilon_per": "decision"},
    "two learners": POLE | GAMMA | SLOW_LEARNING | {"learner_workers": "2", "inference_workers": "3"},
    "parallel learning": POLE | SLOW_LEARNING | {"learner_workers": "2", "learning": "parallel"},
    "no learning": POLE | GAMMA | {"learner_workers": "0", "inference_workers": "3", "epsilon_end": 0.3},
    "repeat, stacked, per tick": POLE
    | GAMMA
    | {"default_action": "repeat", "frame_stack": 3, "discount_per": "tick", "inference_workers": "2"},
    "random": POLE | GAMMA | {"policy": "random", "inference_workers": "3"},
    "noop": POLE | {"policy": "noop", "delay": 2},
    "double Q": POLE | {"delay": 2, "double_q": True},
    "prioritised": POLE
    | {"delay": 2, "prioritised": True, "replay_capacity": 4096, "max_ticks": 4600, "learn_every": 40},
    "dueling": POLE | {"delay": 2, "dueling": True},
    "noisy": POLE | {"delay": 2, "noisy": True},
    "categorical": POLE | {"delay": 2, "categorical": True},
    "history": POLE | GAMMA | {"inference_workers": "4", "pending": "history"},
    "late": POLE | GAMMA | SLOW_LEARNING | {"inference_workers": "auto", "pending": "late"},
    "late, max_time": POLE | GAMMA | {"inference_workers": "4", "pending": "late", "stagger": "max_time"},
    "late, sequential": POLE | GAMMA | {"pending": "late", "interaction": "sequential"},
    "late, images": SMALL | {"delay": 3, "pending": "late", "agent": "rainbow"},
    "reflex": SMALL | {"delay": 3, "pending": "late", "reflex": True},
    "statistics": POLE | GAMMA | SLOW_LEARNING | {"normalise_observations": True, "learner_workers": "2"},
    "n steps": POLE | {"delay": 2, "n_steps": 4},
    "rainbow": POLE | GAMMA | {"agent": "rainbow", "inference_workers": "3"},
    "images, fast": SMALL | {"delay": 2},
    "images, plain": SMALL | {"delay": 2, "fast": False},
    "images, bfloat16": SMALL | {"delay": 2, "inference_dtype": "bfloat16", "width": 0.5, "max_ticks": 80},
    "Atari, rainbow": SMALL | {"environment": "atari/Boxing", "delay": 4, "agent": "rainbow"},
    "demonstration": SMALL
    | {"environment": "gameboy/stacks", "delay": 2, "demonstrations": "DEMONSTRATION", "pretrain_steps": 12},
    "demonstration, by priority": SMALL
    | {"environment": "gameboy/stacks", "delay": 2, "demonstrations": "DEMONSTRATION", "pretrain_steps": 12}
    | {"agent": "rainbow", "one_step_loss": True},
    "encounters": {**SMALL, "environment": "gameboy/duel-battles", "policy": "random", "delay": 1, "max_ticks": 1500},
    "a world of its own": {**POLE, "environment": "toy/chain-0.9", "delay": 2, "rate_hz": None},
    "replayed": POLE | {"inference_latency_ms": "trace:ticket", "inference_workers": "4"},
    "replayed, learning too": POLE
    | {"inference_latency_ms": "trace:two learners", "learning_latency_ms": "trace:two learners"}
    | {"inference_workers": "3", "learner_workers": "2"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="a commit")
    parser.add_argument("--save", type=pathlib.Path, help="file for the hashes of this tree")
    parser.add_argument("--compare", type=pathlib.Path, help="file with hashes")
    parser.add_argument("--only", help="part of the names of the runs to play")
    parser.add_argument("--play", nargs=3, help=argparse.SUPPRESS)  # a process of the set's own: part, folder, file
    given = parser.parse_args()
    if given.play:
        part, folder, only = given.play
        _play(int(part), pathlib.Path(folder), only)
        return 0
    if not (given.against or given.save or given.compare):
        parser.error("give --against, --save or --compare")
    before = json.loads(given.compare.read_text()) if given.compare else None
    if given.against:
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder, "tree")
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, given.against], cwd=ROOT, check=True)
            try:
                before = hashes(tree, given.only)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    now = hashes(ROOT, given.only)
    if given.save:
        given.save.write_text(json.dumps(now, indent=1) + "\n")
    return _compare(before, now) if before else 0


def hashes(tree: pathlib.Path, only: str | None = None) -> dict:
    """By run and file, the hash of each column; or what the run died of. Args: tree: whose code plays."""
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        _demonstrate(tree, pathlib.Path(folder), environment)
        command = [sys.executable, pathlib.Path(__file__), "--play"]
        for done in [
            pool.submit(
                subprocess.run, [*command, str(part), folder, only or ""], env=environment, cwd=folder, check=True
            )
            for part in range(2)
        ]:
            done.result()
        return {name: found for name in CASES if (found := _read(pathlib.Path(folder, name)))}


def _demonstrate(tree: pathlib.Path, folder: pathlib.Path, environment: dict) -> None:
    script, out = tree / "launch" / "demonstrate.py", folder / "demonstration.npz"
    flags = ["--environment=gameboy/stacks", "--frames=400", f"--out={out}"]
    subprocess.run([sys.executable, script, *flags], env=environment, cwd=folder, check=True, capture_output=True)


def _play(part: int, folder: pathlib.Path, only: str) -> None:
    """Every other run, in this process. What another replays is played by the same one, before it."""
    import rtrl_jax
    from rtrl_jax.settings import Settings

    known = Settings.__dataclass_fields__
    order = sorted(CASES, key=lambda name: "trace:" in str(CASES[name].values()))
    first = [name for name in order if "trace:" not in str(CASES[name].values())]
    parts = [first[0::2], first[1::2]]
    for name in order[len(first) :]:  # beside the run it replays
        replayed = CASES[name]["inference_latency_ms"].removeprefix("trace:")
        parts[next(i for i, names in enumerate(parts) if replayed in names)].append(name)
    for name in parts[part]:
        if only not in name:
            continue
        settings = {
            key: str(folder / "demonstration.npz") if value == "DEMONSTRATION" else value
            for key, value in CASES[name].items()
        }
        settings = {
            key: f"trace:{folder / value.removeprefix('trace:')}" if str(value).startswith("trace:") else value
            for key, value in settings.items()
            if key in known
        }
        try:
            rtrl_jax.run(**settings, display="none", trace_seconds=0, run_dir=str(folder / name))
        except Exception as error:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "error").write_text(f"{type(error).__name__}: {error}".replace(str(folder), ""))
        print(f"  {name}", file=sys.stderr, flush=True)


def _read(run: pathlib.Path) -> dict | None:
    if not run.exists():
        return None
    if (run / "error").exists():
        return {"error": (run / "error").read_text()}
    found = {}
    for kind in RECORDS:
        with np.load(run / f"{kind}.npz", allow_pickle=False) as stored:
            columns = {name: stored[name] for name in stored.files}
        found[kind] = {name: _hash(column) for name, column in columns.items()}
        found[kind]["rows"] = str(len(next(iter(columns.values()))))
    return found


def _hash(column: np.ndarray) -> str:
    return hashlib.sha256(f"{column.dtype.str}{column.shape}".encode() + column.tobytes()).hexdigest()[:16]


def _compare(before: dict, now: dict) -> int:
    differing = 0
    for name in now:
        if name not in before:
            print(f"new run: {name}")
            continue
        notes = []
        if "error" in {**before[name], **now[name]}:
            errors = [found.get("error", "it runs") for found in (before[name], now[name])]
            notes += [" -> ".join(errors)] if errors[0] != errors[1] else []
        for kind in sorted({*before[name], *now[name]} & set(RECORDS) if not notes else ()):
            there, here = before[name].get(kind, {}), now[name].get(kind, {})
            gone = [column for column in there if column not in here]
            changed = [column for column in there if column in here and there[column] != here[column]]
            if added := [column for column in here if column not in there]:
                print(f"{name}: {kind} has new columns {', '.join(added)}")
            notes += (
                [f"{kind}: {', '.join([*changed, *(f'{column} is gone' for column in gone)])}"]
                if changed or gone
                else []
            )
        differing += bool(notes)
        for note in notes:
            print(f"DIFFERS  {name}: {note}")
    errors = sum("error" in found for found in now.values())
    print(f"{len(now)} runs, {differing} differ from before, {errors} failed")
    return 1 if differing or errors else 0


if __name__ == "__main__":
    sys.exit(main())
