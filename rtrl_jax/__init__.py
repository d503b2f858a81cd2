"""Real-time reinforcement learning: agents with slow networks acting at every tick of a world that never pauses.

`rtrl_jax.run(environment="atari/Boxing", duration_s=60)` is the whole public interface; `rtrl_jax.settings.Settings`
lists what it takes. Imports stay light here, because every worker process passes through this file before it has
chosen its processor core.
"""

import os
import pathlib
import time

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
    from rtrl_jax.core import preparation
    from rtrl_jax.settings import Settings

    began = time.monotonic()
    return _play(preparation.checked(Settings(**_plain(settings))), began)


def resume(run_dir: str | os.PathLike, **overrides) -> dict:
    """Goes on with a run from its newest checkpoint and returns the summary of all its sessions.

    Args:
      run_dir: its folder.
      **overrides: settings that should now differ, e.g. a longer `duration_s`; all others are as they were.

    Raises:
      UserError: no checkpoint, a damaged one, or one that does not fit the overrides; nothing has been changed.
      RuntimeError: as `run`.
    """
    from rtrl_jax.checkpoints import restoring, store
    from rtrl_jax.core import preparation

    began, run, overrides = time.monotonic(), pathlib.Path(run_dir).expanduser(), _plain(overrides)
    if not run.is_dir():
        raise UserError(f"--run_dir={run} is no folder: name the folder of the run to go on with")
    with store.locked(run):
        past, settings = restoring.open_run(run, overrides)
        return _play(preparation.checked(settings), began, past)


def _play(settings, began: float, past=None) -> dict:
    """By the clock that the settings name. Args: past: the checkpoint that the run goes on from."""
    if settings.is_virtual:
        from rtrl_jax.virtual_time.run import play

        return play(settings, began, past)
    from rtrl_jax.realtime.launcher import launch

    return launch(settings, began, past)


def _plain(given: dict) -> dict:
    from rtrl_jax.settings import Settings
    from rtrl_jax.settings_forms import from_python

    unknown = sorted(set(given) - set(Settings.__dataclass_fields__))
    if unknown:
        raise UserError(f"no setting is called {unknown[0]!r}; rtrl_jax.settings.Settings lists them all")
    return from_python(given)
