"""Measures learning, the replay and checkpoints on this machine and writes results/learning.json and results/learning.md.

python benchmarks/learning.py                     everything, in twenty minutes; leave the machine alone meanwhile
python benchmarks/learning.py --only=updates --repeats=1
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import zlib

import numpy as np
import report
from absl import flags
from report import Goal

import rtrl_jax
from rtrl_jax.board.layout import BRIM
from rtrl_jax.checkpoints import store
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

ONLY = flags.DEFINE_list("only", None, "names of the parts to measure; default: all")
REPEATS = flags.DEFINE_integer("repeats", 3, "of each part but the kills", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 40.0, "length of a run", lower_bound=4.0)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

KILLS = 20
# No network decides here, so that the cores are the learners' own; and always more to learn than there is time for.
LEARN = {
    "environment": "atari/Boxing",
    "parameters": "1M",
    "epsilon_start": 1.0,
    "epsilon_end": 1.0,
    "learn_every": 1,
    "learn_start": 100,
    "checkpoint_every_s": 0.0,
    "display": "none",
}
GOALS = {
    "a bare update, fast path and all, k = 1": Goal("updates", None, "", "ms"),
    "1 learner in a run, of the bare update's rate": Goal("updates", 90, "at least", "%"),
    "2 learners on 2 cores, of 1 learner's rate": Goal("updates", 1.7, "at least", "times"),
    "delay of an update, 2 learners": Goal("updates", 1.0, "within 1 of", "updates"),
    "uniform sampling of 16 from 1 M": Goal("replay", 1.0, "below", "ms"),
    "prioritised sampling of 16 from 1 M": Goal("replay", 1.0, "below", "ms"),
    "prioritised settling of 16 in 1 M": Goal("replay", None, "", "ms"),
    "keeping a transition, in the environment's process": Goal("replay", None, "", "ms"),
    "memory of 1 M transitions, 84x84": Goal("replay", 7.2, "at most", "GB"),
    "Game Boy frames, zlib level 1: size": Goal("compression", None, "", "%"),
    "Game Boy frames, zlib level 1: reading 32 frames": Goal("compression", None, "", "ms"),
    "Game Boy frames, raw: reading 32 frames": Goal("compression", None, "", "ms"),
    "lateness p99 without checkpoints, k = 1": Goal("checkpoints", None, "", "ms"),
    "lateness p99 with one every 2 s, k = 1": Goal("checkpoints", None, "", "ms"),
    "longest time between two boundaries with one every 2 s": Goal("checkpoints", 2.0, "at most", "ticks"),
    "a boundary's work when asked for the state, most": Goal("checkpoints", 1.0, "below", "ticks"),
    "kill -9 of the whole run: resumed": Goal("kills", KILLS, "at least", f"of {KILLS}"),
    "kill -9: ticks lost beyond the last checkpoint": Goal("kills", 0, "at most", "ticks"),
    "kill -9: seconds of play since the last checkpoint, most": Goal("kills", None, "", "s"),
    "from --resume to the first new tick": Goal("kills", None, "", "s"),
}
COMPRESSION = """Compression. Frame by frame, as a ring needs it, zlib brings Duel's frames to a quarter. blosc2 4.14.1, tried
once on 2,000 of them on this machine, brings them to 37 % with LZ4 (0.09 ms to read the 32 frames of a batch) and to 24 %
with zstd (0.21 ms). So the time would be affordable, and memory is what it would save. The ring stays raw all the same: rows
of different lengths would end the rule that a row's place follows from its number, which is what lets readers go without
locks, and a million raw transitions are within the goal. Checkpoints, written once and read once, are compressed: there
thousands of frames shrink together, Duel's to 3 %."""


def main() -> None:
    parts = ONLY.value or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        raise UserError(f"--only={unknown.pop()}: there are {', '.join(PARTS)}")
    found: dict[str, list[float]] = {}
    for part in parts:
        for repeat in range(1 if part == "kills" else REPEATS.value):
            print(f"{part}, {repeat + 1} …", file=sys.stderr, flush=True)
            for name, value in PARTS[part]().items():
                found.setdefault(name, []).append(value)
    title = "Learning on this machine"
    print(
        report.write(
            pathlib.Path(OUT.value), "learning", title, report.rows(found, GOALS), GOALS, REPEATS.value, COMPRESSION
        )
    )


def measure_updates() -> dict[str, float]:
    """A bare update on a core of its own; then real learners in real runs, as fast as they go."""
    ours = [sys.executable, str(pathlib.Path(__file__).with_name("speed_ours.py")), "update", "15", "1", "5"]
    bare = subprocess.run(["taskset", "-c", "0", *ours], check=True, capture_output=True, text=True).stdout
    bare_ms = json.loads(bare)["ms"]
    with tempfile.TemporaryDirectory() as folder:
        one, two = (
            rtrl_jax.run(**LEARN, learner_workers=n, duration_s=SECONDS.value, run_dir=f"{folder}/{n}") for n in (1, 2)
        )
    rates = [summary["learning"]["updates_per_s"] for summary in (one, two)]
    return {
        "a bare update, fast path and all, k = 1": bare_ms,
        "1 learner in a run, of the bare update's rate": 100 * rates[0] * bare_ms / 1e3,
        "2 learners on 2 cores, of 1 learner's rate": rates[1] / rates[0],
        "delay of an update, 2 learners": two["learning"]["delay_mean"],
    }


def measure_replay() -> dict[str, float]:
    """A million transitions, and batches from them; and what it costs to keep another."""
    from rtrl_jax.board import segment
    from rtrl_jax.board.layout import Board, Dimensions, size
    from rtrl_jax.board.records import Tick
    from rtrl_jax.core import sizing
    from rtrl_jax.environments import Spec
    from rtrl_jax.replay.keeper import Keeper
    from rtrl_jax.replay.prioritised import PrioritisedReplay
    from rtrl_jax.replay.sum_tree import nodes_for
    from rtrl_jax.replay.transitions import Horizon
    from rtrl_jax.replay.uniform import UniformReplay
    from rtrl_jax.settings import Settings

    count, spec = 1_000_000, Spec((84, 84, 1), "uint8", 6, 0, 60.0, 1e-5)
    kept = sizing.kept(Settings(replay_capacity=count), spec)
    dimensions = Dimensions(
        *(kept.capacity, spec.observation_shape, spec.observation_dtype, 1, 1, 1, 2, 1, 64),
        **{"transitions": count, "kept_frames": kept.kept_frames, "priority_nodes": nodes_for(count + BRIM)},
    )
    board = Board(dimensions, segment.private(size(dimensions)))
    board.kept_frames[:] = 1
    rows = board.act_rows[:count]
    rows["apply_tick"], rows["ticks"] = np.arange(count) + 1, 1
    rows["frames"][:, 0], rows["next_frames"][:, 0] = np.arange(count), np.arange(count) + 1
    board.act_head[0], board.kept_head[0] = count, count + 1
    replays = {
        "uniform": UniformReplay(board.acts, Horizon(0.99)),
        "prioritised": PrioritisedReplay(
            board.acts, Horizon(0.99), board.priorities, board.largest_priority, board.priorities_entered
        ),
    }
    rng, found = np.random.default_rng(0), {}
    for name, replay in replays.items():
        replay.ingest()
        replay.settle([], [])
        sampling, settling = [], []
        for _ in range(500):
            began = time.perf_counter()
            _, keys = replay.sample_with_keys(rng, 16)
            sampled = time.perf_counter()
            replay.settle(keys, rng.random(16))
            settling.append(1e3 * (time.perf_counter() - sampled))
            sampling.append(1e3 * (sampled - began))
        found[f"{name} sampling of 16 from 1 M"] = float(np.median(sampling))
    found["prioritised settling of 16 in 1 M"] = float(np.median(settling))
    found["memory of 1 M transitions, 84x84"] = size(dimensions) / 1e9
    keeper, blank, times = Keeper(board), dict.fromkeys(Tick._fields, 0), []
    keeper.restore({"open": None, "oldest": count, "frames": [], "recent": []})
    for tick in range(5000):
        record = Tick(**{**blank, "tick": tick, "obs_tick": tick - 1, "is_default": tick == 0})
        board.observations.publish(board.frames[0], record)
        began = time.perf_counter()
        keeper.tick(record)
        times.append(1e3 * (time.perf_counter() - began))
    found["keeping a transition, in the environment's process"] = float(np.median(times))
    return found


def measure_compression() -> dict[str, float]:
    """Frames of our own Game Boy game, one by one, as a ring would need them."""
    from rtrl_jax import environments

    environment, rng = environments.make("gameboy/duel-battles"), np.random.default_rng(0)
    environment.reset(seed=0)
    frames = []
    for _ in range(4000):
        frame, _, ended, _ = environment.step(int(rng.integers(6)))
        frames.append(environment.reset() if ended else frame)
    environment.close()
    stored, raw = [zlib.compress(frame.tobytes(), 1) for frame in frames], np.stack(frames)
    packed_ms, raw_ms = [], []
    for _ in range(200):
        picked = rng.integers(len(frames), size=32)
        began = time.perf_counter()
        np.stack([np.frombuffer(zlib.decompress(stored[i]), np.uint8) for i in picked])
        unpacked = time.perf_counter()
        raw[picked]
        raw_ms.append(1e3 * (time.perf_counter() - unpacked))
        packed_ms.append(1e3 * (unpacked - began))
    return {
        "Game Boy frames, zlib level 1: size": 100 * sum(map(len, stored)) / raw.nbytes,
        "Game Boy frames, zlib level 1: reading 32 frames": float(np.median(packed_ms)),
        "Game Boy frames, raw: reading 32 frames": float(np.median(raw_ms)),
    }


def measure_checkpoints() -> dict[str, float]:
    """The same run with and without checkpoints: what the environment notices."""
    play = {**LEARN, "epsilon_start": 0.0, "epsilon_end": 0.0, "learn_every": 4, "duration_s": SECONDS.value}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for every, name in ((0.0, "without checkpoints"), (2.0, "with one every 2 s")):
            path = pathlib.Path(folder, str(every))
            summary = rtrl_jax.run(**{**play, "checkpoint_every_s": every}, run_dir=str(path))
            found[f"lateness p99 {name}, k = 1"] = summary["lateness_ms"]["p99"]
        ticks = np.load(path / "ticks.npz")
        tau_m = 1e9 / 60
        found["longest time between two boundaries with one every 2 s"] = float(
            np.diff(ticks["boundary_ns"]).max() / tau_m
        )
        work = ticks["published_ns"] - ticks["boundary_ns"]
        found["a boundary's work when asked for the state, most"] = float(work[60:].max() / tau_m)
    return found


def measure_kills() -> dict[str, float]:
    """Kill -9 of the supervisor, and with it of all, at random moments, and --resume each time."""
    rng, resumed, lost, ages, startups = np.random.default_rng(0), 0, [], [], []
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder, "run")
        first = ["--environment=gameboy/duel-battles", "--width=0.0625", "--learn_start=100", "--checkpoint_every_s=1"]
        flags_of_this = [*first, "--duration_s=100000", "--display=none", f"--run_dir={run}"]
        last = -1
        for kill in range(KILLS + 1):
            command = [sys.executable, "launch/run.py", *flags_of_this]
            began = time.monotonic_ns()
            process = subprocess.Popen(command, start_new_session=True)
            _wait_for(lambda last=last: (found := store.whole(run)) and int(found[-1].name) > last, process)
            time.sleep(float(rng.uniform(0, 3)))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            manifest = store.read_manifest(store.whole(run)[-1])  # raises if it is not whole
            ticks = np.fromfile(run / "ticks.raw", _tick_dtype())
            lost.append(max(0, manifest["tick"] + 1 - len(ticks)))
            ages.append((len(ticks) - 1 - manifest["tick"]) / 59.7275)
            if kill > 0:
                resumed += manifest["session"] == kill and bool((np.diff(ticks["tick"]) == 1).all())
                new = ticks[ticks["session"] == kill]
                startups.append((int(new["boundary_ns"][0]) - began) / 1e9)
            last = manifest["tick"]
            flags_of_this = ["--resume", f"--run_dir={run}"]
            print(
                f"  killed {kill}: checkpoint of tick {last}, {manifest['updates']} updates",
                file=sys.stderr,
                flush=True,
            )
    return {
        "kill -9 of the whole run: resumed": float(resumed),
        "kill -9: ticks lost beyond the last checkpoint": float(max(lost)),
        "kill -9: seconds of play since the last checkpoint, most": max(ages),
        "from --resume to the first new tick": float(np.median(startups)),
    }


def _tick_dtype():
    from rtrl_jax.board.records import TICK

    return TICK


def _wait_for(condition, process) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the run did not get as far as a checkpoint")
        time.sleep(0.05)


PARTS = {
    "updates": measure_updates,
    "replay": measure_replay,
    "compression": measure_compression,
    "checkpoints": measure_checkpoints,
    "kills": measure_kills,
}

if __name__ == "__main__":
    sys.exit(run_command(main))
