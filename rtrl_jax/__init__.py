"""Real-time reinforcement learning: agents with slow networks acting at every tick of a world that never pauses.

`rtrl_jax.run(environment="atari/Boxing", duration_s=60)` is the whole public interface; `rtrl_jax.settings.Settings`
lists what it takes. Imports stay light here, because every worker process passes through this file before it has
chosen its processor core.
"""

import os

from rtrl_jax.errors import UserError

__version__ = "0.1.0"
__all__ = ["UserError", "resume", "run"]


def run(**settings) -> dict:
    """Runs an agent against an environment in real time and returns the summary that summary.json holds.

    Args:
      **settings: fields of `rtrl_jax.settings.Settings`, which are also the flags of launch/run.py. A path may be a
        `pathlib.Path`, `cores` a list of numbers and `environment_kwargs` a dict.

    Raises:
      UserError: bad input; nothing has been written.
      RuntimeError: a process failed beyond repair; what was recorded until then is in the run folder.
    """
    from rtrl_jax.drivers.supervisor import supervise
    from rtrl_jax.settings import Settings

    return supervise(Settings(**_plain(settings)))


def resume(run_dir: str | os.PathLike, **overrides) -> dict:
    """Goes on with a run from its newest checkpoint and returns the summary of all its sessions.

    Args:
      run_dir: its folder.
      **overrides: settings that should now differ, e.g. a longer `duration_s`; all others are as they were.

    Raises:
      UserError: no checkpoint, a damaged one, or one that does not fit the overrides; nothing has been changed.
      RuntimeError: as `run`.
    """
    import pathlib

    from rtrl_jax.drivers import supervisor

    return supervisor.resume(pathlib.Path(run_dir).expanduser(), _plain(overrides))


def _plain(given: dict) -> dict:
    from rtrl_jax.settings import Settings, from_python

    unknown = sorted(set(given) - set(Settings.__dataclass_fields__))
    if unknown:
        raise UserError(f"no setting is called {unknown[0]!r}; rtrl_jax.settings.Settings lists them all")
    return from_python(given)
