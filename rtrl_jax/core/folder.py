"""The folder a run writes to: choosing it, and never writing over what is there."""

import pathlib
import time

from rtrl_jax.errors import UserError
from rtrl_jax.telemetry import files


def choose(run_dir: str | None, environment: str, flag: str = "--run_dir") -> pathlib.Path:
    """The folder for a run, which does not exist yet or is empty; creates nothing.

    Args:
      flag: what the user said it by.

    Raises:
      UserError: it holds something, is no folder, or cannot be written to.
    """
    if run_dir is None:
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{environment.split('/')[-1].replace(':', '-')}"
        candidates = [pathlib.Path("runs", stem + suffix) for suffix in ("", *(f"-{i}" for i in range(2, 1000)))]
        run_dir = next(candidate for candidate in candidates if not candidate.exists())
    return files.check_folder(run_dir, flag)


def make(folder: pathlib.Path, flag: str = "--run_dir") -> None:
    """Creates it. Raises UserError if the system will not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag}={folder} cannot be made ({error.strerror}): name another folder") from None
