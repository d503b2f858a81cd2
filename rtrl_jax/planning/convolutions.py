"""How each convolution of a network is computed on this machine, for launch/plan.py --layers."""

import pathlib

from rich.table import Table

from rtrl_jax.core import model as models
from rtrl_jax.core import preparation
from rtrl_jax.errors import UserError
from rtrl_jax.networks import fast, runtime
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
    model = models.choose(settings, preparation.probe(settings))
    module, shape = model.module, model.observation_shape
    of = (module, shape, model.settings.batch_size)
    if fast.choose(*of) is None:
        raise UserError(
            f"--layers is about the paper's ResNets on square images: --network={model.network} computes as Flax does"
        )
    runtime.configure()
    kept = None if again else fast.measured(*of, settings.inference_dtype)
    if fast.choose(*of).planes:
        return None, report.table(module, shape, fast.choose(*of))
    plan, times = kept or measure.measure(*of, settings.inference_dtype, say)
    return fast.keep(plan, times, *of), report.table(module, shape, plan, times)
