"""Evaluates a checkpoint, random play or doing nothing over many episodes, with the delay and inaction of a model of any size.

rtrl-evaluate --checkpoint=runs/boxing --episodes=100 --delay=4
rtrl-evaluate --policy=random --environments=atari/Boxing,atari/Krull --episodes=20 --action_every=4
rtrl-evaluate --policy=alternate:A,LEFT --environments=gameboy/duel-battles --episodes=40
rtrl-evaluate --policy=controls --environments=gameboy/duel-catching --max_ticks_per_episode=4000

Ctrl-C and SIGTERM end it early: what is finished is written, and the exit status is 1, since it is not all that was asked for.
"""

import signal
import sys

from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.flags import run_command, values


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is finished is written, as after Ctrl-C
    sys.path.append("")  # modules of the user's own that register an environment
    settings = Evaluation(**values(Evaluation))
    settings.check()

    from rtrl_jax.evaluation import table
    from rtrl_jax.evaluation.evaluate import evaluate

    summary = evaluate(settings)
    table.show(summary["rows"], summary["together"])
    judged = [verdict["says"] for verdict in summary["judgement"]]
    for line in filter(None, [*table.to_beat(summary), *judged, table.binding(summary)]):
        print(line)
    print(f"results are in {summary['folder']}")


def command() -> int:
    return run_command(main, settings=Evaluation)
