"""Says what it takes to act in real time with a network of some size: processes, cores, delay, memory, and what is lost.

python launch/plan.py --environment=atari/Boxing --parameters=100M --cores=64 --learn_every=5
python launch/plan.py --environment=gameboy/duel-battles --width=7 --layers
python launch/plan.py --environment=gymnasium/CartPole-v1 --inference_ms=normal:70,5 --learn_every=0 --out=plan.json
"""

import json
import os
import pathlib
import sys

from absl import flags
from rich.console import Console

from rtrl_jax.command import define_flags, run_command
from rtrl_jax.planner_settings import Planning

define_flags(Planning)


def main() -> None:
    sys.path.append("")  # modules of the user's own that register an environment
    planning = Planning(**{name: flags.FLAGS[name].value for name in Planning.__dataclass_fields__})
    planning.check()
    if planning.layers:
        show_layers(planning)
        return

    from rtrl_jax.drivers import planning as drivers
    from rtrl_jax.telemetry import plan_tables
    from rtrl_jax.telemetry.summary import machine, versions

    shown = planning.display == "auto"
    progress = Console(stderr=True, highlight=False)
    say = (
        (lambda line: progress.print(line, style="dim", markup=False))
        if shown and progress.is_terminal
        else print_nothing
    )
    plan = {**drivers.make(planning, say), "machine": machine(), "versions": versions()}
    if shown:
        plan_tables.show(Console(highlight=False), plan)
    if planning.out is not None:
        out = pathlib.Path(planning.out).expanduser()
        out.parent.mkdir(parents=True, exist_ok=True)
        with open(out, "x") as file:
            file.write(json.dumps(plan, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        if shown:
            print(f"wrote {out}")


def show_layers(planning: Planning) -> None:
    from rtrl_jax.drivers.child import ONE_THREAD

    os.environ.update({**ONE_THREAD, "JAX_PLATFORMS": "cpu"})  # as the processes of a run
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    from rtrl_jax.drivers import layers

    progress = Console(stderr=True, highlight=False)
    with progress.status("…") as status:
        path, table = layers.table(planning.run_settings(), planning.remeasure, say=status.update)
    Console(highlight=False).print(table)
    if path is None:
        print("by rule: with so few filters there is but one way")
    else:
        print(f"milliseconds of the way taken, and of the others; measured here and kept in {path}")


def print_nothing(line: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(run_command(main))
