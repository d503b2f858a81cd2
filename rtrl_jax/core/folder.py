"""The folder a run writes to: choosing it, and never writing over what is there."""

import os
import pathlib
import time

from rtrl_jax.errors import UserError


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
        folder = next(candidate for candidate in candidates if not candidate.exists())
    else:
        folder = pathlib.Path(run_dir).expanduser()
    if folder.is_symlink() and not folder.exists():
        raise UserError(f"{flag}={folder} is a link to nothing: name a new folder")
    if folder.exists():
        if not folder.is_dir():
            raise UserError(f"{flag}={folder} is a file: name a new folder")
        if any(folder.iterdir()):
            raise UserError(f"{flag}={folder} already holds something: name a new folder (nothing was overwritten)")
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{flag}={folder} cannot be made: {nearest} is not a folder that you may write to")
    return folder


def make(folder: pathlib.Path, flag: str = "--run_dir") -> None:
    """Creates it. Raises UserError if the system will not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag}={folder} cannot be made ({error.strerror}): name another folder") from None
