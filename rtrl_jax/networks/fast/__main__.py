"""Shows how a network convolves, and with --measure tries all ways and keeps the fastest for the runs to come.

taskset -c 1 python -m rtrl_jax.networks.fast --network=resnet15 --width=1 --measure
"""

import os
import sys

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from absl import flags

from rtrl_jax import networks
from rtrl_jax.command import run_command
from rtrl_jax.networks.fast import measure, plan, report

NETWORK = flags.DEFINE_enum("network", "resnet15", ["resnet15", "resnet30"], "which")
WIDTH = flags.DEFINE_float("width", 1.0, "the paper's k", lower_bound=1e-3)
FRAME_STACK = flags.DEFINE_integer("frame_stack", 1, "frames that the network sees at once", lower_bound=1)
MEASURE = flags.DEFINE_bool("measure", False, "try all ways on this core and keep the fastest")


def main() -> None:
    network, shape = networks.build(NETWORK.value, 6, WIDTH.value), (84, 84, FRAME_STACK.value)
    chosen, times = plan.choose(network, shape), None
    if MEASURE.value:
        chosen, times = measure.measure(network, shape)
        print(f"kept in {plan.keep(chosen, network, shape)}")
    elif plan.measured(network, shape) is None:
        print("by rule: not measured on this machine")
    print("\n".join(report.lines(network, shape, chosen, times)))


if __name__ == "__main__":
    sys.exit(run_command(main))
