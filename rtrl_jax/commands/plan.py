"""Says what it takes to act in real time with a network of some size: processes, cores, delay, memory, and what is lost.

rtrl-plan --environment=atari/Boxing --parameters=100M --cores=64 --learn_every=5
rtrl-plan --environment=gameboy/duel-battles --width=7 --layers
rtrl-plan --environment=gymnasium/CartPole-v1 --inference_ms=normal:70,5 --learn_every=0 --out=plan.json
"""

import json
import os
import pathlib
import sys

from rich.console import Console

from rtrl_jax.flags import run_command, values
from rtrl_jax.planning.settings import Planning


def main() -> None:
    sys.path.append("")  # modules of the user's own that register an environment
    planning = Planning(**values(Planning))
    planning.check()
    if planning.layers:
        show_layers(planning)
        return

    from rtrl_jax.cluster.joining import joined
    from rtrl_jax.planning import measured, tables
    from rtrl_jax.telemetry.summary import machine, versions

    shown = planning.display == "auto"
    progress = Console(stderr=True, highlight=False)
    say = (
        (lambda line: progress.print(line, style="dim", markup=False))
        if shown and progress.is_terminal
        else print_nothing
    )
    with joined(planning.cluster_address) as cluster:
        made = measured.make(planning, say, cluster)
    plan = {**made, "machine": machine(), "versions": versions()}
    if shown:
        tables.show(Console(highlight=False), plan)
    if planning.out is not None:
        out = pathlib.Path(planning.out).expanduser()
        out.parent.mkdir(parents=True, exist_ok=True)
        with open(out, "x") as file:
            file.write(json.dumps(plan, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        if shown:
            print(f"wrote {out}")


def show_layers(planning: Planning) -> None:
    from rtrl_jax.core.one_thread import ONE_THREAD

    os.environ.update({**ONE_THREAD, "JAX_PLATFORMS": "cpu"})  # as the processes of a run
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    from rtrl_jax.planning import convolutions

    progress = Console(stderr=True, highlight=False)
    with progress.status("…") as status:
        path, table = convolutions.table(planning.run_settings(), planning.remeasure, say=status.update)
    Console(highlight=False).print(table)
    if path is None:
        print("by rule: with so few filters there is but one way")
    else:
        print(f"milliseconds of the way taken, and of the others; measured here and kept in {path}")


def print_nothing(line: str) -> None:
    pass


def command() -> int:
    return run_command(main, settings=Planning)
