"""Whether a fresh process knows an environment too: a run's processes are such, and the script that began it is not among them.

A class that the script itself has registered with Gymnasium is known to the script alone, unless its name says which
module registers it, for then whoever makes it imports that first.
"""

import subprocess
import sys

from rtrl_jax import processes
from rtrl_jax.errors import UserError

UNKNOWN = 3  # exit status
PATIENCE_S = 60


def check(name: str) -> None:
    """Raises UserError, with what to do, if an environment that was made here could not be in another process.

    Args:
      name: as `environments.make` took it. What did not come with Gymnasium costs the start of a process, a fifth of a second.
    """
    from rtrl_jax.environments import is_gymnasium

    module, _, bare = name.removeprefix("gymnasium/").rpartition(":")
    if not is_gymnasium(name) or module not in ("", "__main__"):
        return
    import gymnasium

    from rtrl_jax.environments.making import newest

    full = newest(bare)
    if full not in gymnasium.registry:
        if module:  # a factory in the script
            _refuse(name, f"put {bare} into a module of its own, and write <module>:{bare}")
        return  # `make` says so
    made_by = gymnasium.registry[full].entry_point
    home = getattr(made_by, "__module__", None) or str(made_by).partition(":")[0]
    if not module and (home.partition(".")[0] == "gymnasium" or _known_to_a_fresh_process(full)):
        return
    remedy = f"name the module that registers it, such as gymnasium/{home}:{bare}"
    if home == "__main__":
        remedy = f"put its class and its registration into a module of their own, and write gymnasium/<module>:{bare}"
    _refuse(name, remedy)


def _refuse(name: str, remedy: str) -> None:
    raise UserError(f"{name} is known to this script alone, and a run has processes of its own: {remedy}")


def _known_to_a_fresh_process(full: str) -> bool:
    """Whether one started with this one's paths has it registered; True also if it cannot say."""
    command = processes.command("rtrl_jax.environments.fresh", full)
    try:
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return True
    return asked.returncode != UNKNOWN


def main() -> int:
    """What the fresh process does: looks whether the environment that it is asked for is registered."""
    import gymnasium

    return UNKNOWN if sys.argv[1] not in gymnasium.registry else 0
