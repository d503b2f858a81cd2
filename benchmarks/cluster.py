"""Measures inference and learning on other machines, as several Ray nodes on this one, and writes results/cluster.json and
results/cluster.md.

  python benchmarks/cluster.py                 in under eight minutes; leave the machine alone meanwhile
  python benchmarks/cluster.py --only=acting --repeats=1 --seconds=10

Real raylets, bridges, connections and processes; but one loopback in place of a network, and these cores for all of them.
Inference is emulated: it sleeps, so that two cores can pretend to be several machines.
"""

import asyncio
import json
import multiprocessing
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
import report
from absl import flags
from report import Goal

from rtrl_jax.cluster import narrow, wire
from rtrl_jax.flags import run_command

sys.path.append(str(pathlib.Path(__file__).parent.parent / "tests"))

ONLY = flags.DEFINE_list("only", None, "names of the parts to measure; default: all")
REPEATS = flags.DEFINE_integer("repeats", 3, "runs of each part", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 20.0, "length of a run", lower_bound=8.0)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

PLAY = [
    "--environment=atari/Boxing",
    "--parameters=55K",
    "--epsilon_start=0",
    "--epsilon_end=0",
    "--emulated_inference_ms=10",
]
HERE = [*PLAY, "--inference_workers=2", "--workers_per_process=2"]
THERE = [*PLAY, "--inference_workers=2", "--cores=0"]
LEARN = [*PLAY, "--inference_workers=1", "--learner_workers=1", "--learn_start=200"]
ONCE = ("staggered", "learners", "lost")  # parts that take long, or cost a machine
LOST_S = 45.0  # of a run that loses a machine: a new crew has to start
SIZES = {"1 M": 1_000_000, "100 M": 100_000_000}  # parameters, of four bytes each

GOALS = {
    "observation of 7 KB by an actor call and back p50": Goal("ray", None, "", "ms"),
    "observation of 7 KB by an actor call and back p99": Goal("ray", None, "", "ms"),
    "observation of 7 KB over a socket and back p50": Goal("socket", None, "", "ms"),
    "observation of 7 KB over a socket and back p99": Goal("socket", None, "", "ms"),
    "published to decision back, less inference p50": Goal("acting", 3.0, "at most", "ms"),
    "published to decision back, less inference p99": Goal("acting", 8.0, "at most", "ms"),
    "the same on this machine p50": Goal("acting", None, "", "ms"),
    "the same on this machine p99": Goal("acting", None, "", "ms"),
    "ticks acted on by workers elsewhere": Goal("acting", 99.0, "at least", "%"),
    "delay with workers elsewhere": Goal("acting", None, "", "ticks"),
    "delay with workers here": Goal("acting", None, "", "ticks"),
    "lateness p99 with workers elsewhere": Goal("acting", None, "", "ms"),
    "lateness p99 with workers here": Goal("acting", None, "", "ms"),
    "ticks acted on, Algorithm 1": Goal("staggered", None, "", "%"),
    "lateness p99 with learners elsewhere": Goal("learners", None, "", "ms"),
    "lateness p99 with learners here": Goal("learners", None, "", "ms"),
    "updates a second by a learner elsewhere": Goal("learners", None, "", ""),
    "updates a second by a learner here": Goal("learners", None, "", ""),
    "update made elsewhere to the first decision by it, p50": Goal("learners", None, "", "ms"),
    **{
        f"{what} {name} parameters": Goal("snapshots", goal, how, unit)
        for name in SIZES
        for what, goal, how, unit in (
            ("by the object store,", None, "", "ms"),
            ("snapshot of", None, "", "ms"),
            ("snapshot over object store,", 2.0, "at most", ""),
            ("as bfloat16, snapshot of", None, "", "ms"),
        )
    },
    "β alone once a machine is lost": Goal("lost", 2.0, "at most", "s"),
    "machine lost to its crew acting elsewhere": Goal("lost", None, "", "s"),
}


def main() -> None:
    from ray_nodes import started

    parts = {"ray": by_actor, "socket": by_socket, "acting": acting, "staggered": staggered, "snapshots": snapshots}
    with started(1, 1, 1, store=1 << 30) as nodes:
        for name, measure in {**parts, "learners": learners, "lost": lost}.items():
            if ONLY.value is not None and name not in ONLY.value:
                continue
            found: dict[str, list[float]] = {}
            repeats = 1 if name in ONCE else REPEATS.value
            for repeat in range(repeats):
                print(f"{name}, {repeat + 1} of {repeats} …", file=sys.stderr, flush=True)
                for what, value in measure(nodes).items():
                    found.setdefault(what, []).append(value)
            rows, title = report.rows(found, GOALS), "Inference on other machines"
            table = report.write(pathlib.Path(OUT.value), "cluster", title, rows, GOALS, REPEATS.value, NOTES)
    print(table)


NOTES = """Several Ray nodes on one machine: real raylets, bridges and connections, over the loopback interface, with these cores
for all of them. Inference is emulated (10 ms) but for the network's own 55 K parameters. "Less inference" takes the time of
the inference itself off; what is left is the boundary's bookkeeping, two connections and four changes of process."""


def _times(values: list[float], what: str) -> dict[str, float]:
    return {f"{what} p50": float(np.quantile(values, 0.5)), f"{what} p99": float(np.quantile(values, 0.99))}


class _Ray:
    """A driver in the cluster, and an actor on a node that is not its own."""

    def __init__(self, nodes):
        import logging

        import ray

        ray.init(nodes.address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
        self.ray, self.echo = ray, ray.remote(num_cpus=1)(Echo).remote()
        ray.get(self.echo.back.remote(b""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ray.shutdown()


class Echo:
    def back(self, frame):
        return len(frame)


def by_actor(nodes) -> dict[str, float]:
    """An actor call with an observation, from the driver to another node and back."""
    frame, times = np.zeros((84, 84, 1), np.uint8), []
    with _Ray(nodes) as driver:
        for _ in range(1000):
            began = time.monotonic()
            driver.ray.get(driver.echo.back.remote(frame))
            times.append(1e3 * (time.monotonic() - began))
    return _times(times, "observation of 7 KB by an actor call and back")


def by_socket(nodes) -> dict[str, float]:
    """The same as the bridges have it: a message one way, a message back, between two processes."""
    frame = np.zeros((1, 84, 84, 1), np.uint8)
    with _other(_answer) as link:
        return _times(asyncio.run(_ask(link, frame)), "observation of 7 KB over a socket and back")


async def _ask(link: socket.socket, frame: np.ndarray) -> list[float]:
    stream, writer = await asyncio.open_connection(sock=link)
    times = []
    for _ in range(1000):
        began = time.monotonic()
        writer.write(wire.pack({"sent_ns": 0}, {"frames": frame}))
        await wire.receive(stream.readexactly, {})
        times.append(1e3 * (time.monotonic() - began))
    writer.close()
    return times


def _answer(address) -> None:
    async def answer():
        stream, writer = await asyncio.open_connection(*address)
        wire.tune(writer.get_extra_info("socket"))
        try:
            while True:
                await wire.receive(stream.readexactly, {"frames": np.dtype("u1")})
                writer.write(wire.pack({"sent_ns": 0}))
        except EOFError:
            return

    asyncio.run(answer())


class _other:  # noqa: N801 - used as a function
    """Within it a process is connected that does what `work` does."""

    def __init__(self, work, *arguments):
        self._door = socket.create_server(("127.0.0.1", 0))
        arguments = (self._door.getsockname(), *arguments)
        self._process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)

    def __enter__(self) -> socket.socket:
        self._process.start()
        self._link, _ = self._door.accept()
        self._link.setblocking(False)
        wire.tune(self._link, None)
        return self._link

    def __exit__(self, *_):
        self._link.close()
        self._process.join(5)
        self._door.close()


def _run(
    *words: str,
    seconds: float = 0.0,
    meanwhile=lambda process, folder: None,
    records: tuple[str, ...] = ("ticks", "decisions"),
) -> tuple[dict, ...]:
    """(summary, and of these records each) of a run. Args: seconds: that it takes at least."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "run")
        words = [
            sys.executable,
            "launch/run.py",
            f"--duration_s={max(SECONDS.value, seconds)}",
            f"--run_dir={out}",
            *words,
        ]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        meanwhile(process, out)
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(said)
        found = [dict(np.load(out / f"{name}.npz")) for name in records]
        return json.loads((out / "summary.json").read_text()), *found


def _back_ms(ticks: dict, decisions: dict) -> np.ndarray:
    """From the publication of an observation to its decision on the environment's board, less the time of its inference."""
    published = ticks["published_ns"][decisions["obs_tick"]]
    took = decisions["end_ns"] - decisions["start_ns"]
    return (decisions["registered_ns"] - published - took)[decisions["status"] == 0] / 1e6


def acting(nodes) -> dict[str, float]:
    """Two workers, each on a machine of its own, and the same two beside the environment."""
    away, *records = _run(*THERE, f"--cluster={nodes.address}")
    here, *of_here = _run(*HERE)
    return {
        **_times(_back_ms(*records), "published to decision back, less inference"),
        **_times(_back_ms(*of_here), "the same on this machine"),
        "ticks acted on by workers elsewhere": 100 * (1 - away["inaction"]),
        "delay with workers elsewhere": away["delay"]["mean"],
        "delay with workers here": here["delay"]["mean"],
        "lateness p99 with workers elsewhere": away["lateness_ms"]["p99"],
        "lateness p99 with workers here": here["lateness_ms"]["p99"],
    }


def staggered(nodes) -> dict[str, float]:
    """Algorithm 1 over two machines."""
    found, *_ = _run(*THERE, "--stagger=max_time", f"--cluster={nodes.address}")
    return {"ticks acted on, Algorithm 1": 100 * (1 - found["inaction"])}


def learners(nodes) -> dict[str, float]:
    """A learner on a machine of its own, and the same beside the environment; the worker is elsewhere in both."""
    rates, late, gaps = {}, {}, np.empty(0)
    for where, name in (("auto", "elsewhere"), ("environment", "here")):
        flags = [f"--learners_on={where}", f"--cluster={nodes.address}", "--cores=0"]
        found, _, decisions, updates = _run(*LEARN, *flags, records=("ticks", "decisions", "updates"))
        rates[name], late[name] = found["learning"]["updates_per_s"], found["lateness_ms"]["p99"]
        if name == "elsewhere":
            made = dict(zip(updates["applied_version"] + 1, updates["end_ns"], strict=True))
            versions, first = np.unique(decisions["version"], return_index=True)
            gaps = np.array(
                [decisions["start_ns"][at] - made[one] for one, at in zip(versions, first, strict=True) if one in made]
            )
    return {
        **{f"lateness p99 with learners {name}": value for name, value in late.items()},
        **{f"updates a second by a learner {name}": value for name, value in rates.items()},
        "update made elsewhere to the first decision by it, p50": float(np.median(gaps)) / 1e6,
    }


def snapshots(nodes) -> dict[str, float]:
    """As many bytes through Ray's object store to another node, and as bridges send them into a slot."""
    found = {}
    with _Ray(nodes) as driver:
        for name, count in SIZES.items():
            values = np.ones(4 * count, np.uint8)
            driver.ray.get(driver.echo.back.remote(driver.ray.put(values)))  # the first touches memory that is new
            began = time.monotonic()
            driver.ray.get(driver.echo.back.remote(driver.ray.put(values)))
            stored = time.monotonic() - began
            poured, shorter = (_sent(values, narrowed) for narrowed in (False, True))
            found |= {
                f"as bfloat16, snapshot of {name} parameters": 1e3 * shorter,
                f"by the object store, {name} parameters": 1e3 * stored,
                f"snapshot of {name} parameters": 1e3 * poured,
                f"snapshot over object store, {name} parameters": poured / stored,
            }
    return found


def _sent(values: np.ndarray, narrowed: bool) -> float:
    """Seconds that a snapshot takes from a slot into another process's."""
    parts = [narrow.Stretch(0, len(values), narrowed)]
    with _other(_take, len(values), narrowed) as link:
        return asyncio.run(_pour(link, values, parts))


async def _pour(link: socket.socket, values: np.ndarray, parts: list[narrow.Stretch]) -> float:
    await wire.exactly(link)(1)  # the other has its memory
    began = time.monotonic()
    await narrow.pour(link, values, parts)
    await wire.exactly(link)(1)
    return time.monotonic() - began


def _take(address, size: int, narrowed: bool) -> None:
    async def take():
        slot, loop = np.ones(size, np.uint8), asyncio.get_running_loop()
        with socket.socket() as link:
            link.setblocking(False)
            await loop.sock_connect(link, address)
            await loop.sock_sendall(link, b"1")
            await narrow.fill(link, slot, [narrow.Stretch(0, size, narrowed)])
            await loop.sock_sendall(link, b"1")

    asyncio.run(take())


def lost(nodes) -> dict[str, float]:
    """A machine is killed in mid-run, all its processes at once; the crew on it finds room on a third."""
    killed = []

    def kill(process, folder):
        raw = folder / "ticks.raw"
        while not (raw.exists() and raw.stat().st_size) and process.poll() is None:
            time.sleep(0.1)
        time.sleep(3)
        node = next(node for node in nodes.all if nodes.bridge(node))
        nodes.kill(node)
        killed.append((time.monotonic_ns(), node))

    _, ticks, decisions = _run(*THERE, f"--cluster={nodes.address}", seconds=LOST_S, meanwhile=kill)
    at, node = killed[0]
    nodes.remove(node)
    nodes.all.remove(node)
    acted = ticks["boundary_ns"][~ticks["is_default"]]
    after = acted[acted > at - 1_000_000_000]
    workers = {worker: decisions["end_ns"][decisions["worker"] == worker] for worker in (0, 1)}
    back = [ends[ends > at + 200_000_000].min() for ends in workers.values()]
    return {
        "β alone once a machine is lost": float(np.diff(after).max()) / 1e9,
        "machine lost to its crew acting elsewhere": (max(back) - at) / 1e9,
    }


def command() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run_command(main)


if __name__ == "__main__":
    sys.exit(command())
