"""Evaluates a checkpoint, random play or doing nothing over many episodes, with the delay and inaction of a model of any size.

python launch/evaluate.py --checkpoint=runs/boxing --episodes=100 --delay=4
python launch/evaluate.py --policy=random --environments=atari/Boxing,atari/Krull --episodes=20 --action_every=4
"""

import signal
import sys

from absl import flags

from rtrl_jax.command import define_flags, run_command
from rtrl_jax.evaluation.settings import Evaluation

define_flags(Evaluation)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is finished is written, as after Ctrl-C
    sys.path.append("")  # modules of the user's own that register an environment
    settings = Evaluation(**{name: flags.FLAGS[name].value for name in Evaluation.__dataclass_fields__})
    settings.check()

    from rtrl_jax.evaluation import table
    from rtrl_jax.evaluation.evaluate import evaluate

    summary = evaluate(settings)
    table.show(summary["rows"], summary["together"])
    print(f"results are in {summary['folder']}")


if __name__ == "__main__":
    sys.exit(run_command(main))
