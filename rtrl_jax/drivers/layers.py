"""How each convolution of a network is computed on this machine, for launch/plan.py --layers."""

import pathlib

from rich.table import Table

from rtrl_jax import networks
from rtrl_jax.agents import parts
from rtrl_jax.drivers import brain, prepare
from rtrl_jax.errors import UserError
from rtrl_jax.networks import fast
from rtrl_jax.networks.fast import measure, report
from rtrl_jax.settings import Settings


def table(settings: Settings, again: bool, say=lambda line: None) -> tuple[pathlib.Path | None, Table]:
    """Measures on this process's core, unless that was done before, and keeps the outcome for the runs to come.

    Args:
      again: measure in any case.
      say: told what is going on.

    Returns:
      (where it is kept, the plan as a table); None where there is but one way, so that nothing was measured.

    Raises:
      UserError: the network is not one of the paper's, or the flags contradict each other.
    """
    spec = prepare.look_at(settings)
    name, width, _ = prepare.size_network(settings, spec)
    module = networks.build(name, spec.actions, width, parts.choose(settings).heads())
    *shape, channels = spec.observation_shape
    shape = (*shape, channels * settings.frame_stack)
    of = (module, shape, settings.batch_size)
    if fast.choose(*of) is None:
        raise UserError(
            f"--layers is about the paper's ResNets on square images: --network={name} computes as Flax does"
        )
    brain.configure_jax()
    kept = None if again else fast.measured(*of, settings.inference_dtype)
    if fast.choose(*of).planes:
        return None, report.table(module, shape, fast.choose(*of))
    plan, times = kept or measure.measure(*of, settings.inference_dtype, say)
    return fast.keep(plan, times, *of), report.table(module, shape, plan, times)
