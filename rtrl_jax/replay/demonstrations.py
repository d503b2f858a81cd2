"""Demonstrations: episodes played by a person or a script, to learn from before the first action (paper Appendix A).

A file is an .npz of plain arrays: `frames` [T, *shape], observation t after tick t as it was seen, uint8 [T, 84, 84, 1] of games;
`actions` int32 [T], in force at tick t, −1 for none, or of vectors float32 [T, size], NaN for none; `rewards` float32 [T]; `ends`
uint8 [T], 1 where an episode terminated and 2 where it was truncated; `environment`, the game's name, and `action_names`, as text
("" and [0] if they are not known; older files have neither).
"""

import pathlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from rtrl_jax.actions import NUMBER, Actions, Vector, words
from rtrl_jax.board.records import act_dtype
from rtrl_jax.board.ring import Acts, Ring, Stacking
from rtrl_jax.errors import UserError
from rtrl_jax.pending import Pending
from rtrl_jax.replay.acts import Accounting, ActBuilder, how_it_ended

PORTION = 10_000  # ticks
ARRAYS = {"frames": (None, None), "actions": (np.int32, 1), "rewards": (np.float32, 1), "ends": (np.uint8, 1)}
OF_VECTORS = ARRAYS | {"actions": (np.float32, 2)}  # dtype and axes; of frames those of the observation, one more


def none(actions: Actions):
    """What stands in a file for no action."""
    return np.full(actions.size, np.nan, np.float32) if isinstance(actions, Vector) else -1


def there(actions: np.ndarray) -> np.ndarray:
    """In which ticks there is one. Args: actions: of a file."""
    return actions >= 0 if actions.ndim == 1 else ~np.isnan(actions[:, 0])


class Game(NamedTuple):
    """What a demonstration is of."""

    environment: str = ""  # as `environments.make` takes it; "" if it is not known
    action_names: tuple[str, ...] = ()  # none if they are only numbered


UNKNOWN = Game()


def write(path: pathlib.Path, frames, actions, rewards, ends, game: Game = UNKNOWN) -> None:
    """Writes a file atomically, in a folder that is made if need be; see above for shapes."""
    given = dict(zip(ARRAYS, (frames, actions, rewards, ends), strict=True))
    kinds = ARRAYS if np.ndim(actions[0]) == 0 else OF_VECTORS
    kinds = kinds | {"frames": (np.float32 if np.asarray(frames).dtype.kind == "f" else np.uint8, None)}
    arrays = {name: np.asarray(given[name], dtype) for name, (dtype, _) in kinds.items()}
    arrays |= {"environment": np.array(game.environment), "action_names": np.array(game.action_names, np.str_)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def read(
    path: pathlib.Path,
    observation_shape: tuple[int, ...],
    actions: Actions,
    game: Game = UNKNOWN,
    say=lambda line: None,
    dtype: str = "uint8",
) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Args:
      observation_shape, actions: of the game that is to be learned.
      game: which that is; what is left out of it is not compared.
      say: takes a line if the file does not say which game it is of, and only its shapes could be looked at.
      dtype: of that game's observations.

    Raises:
      UserError: it is no such file, or of another game.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: np.atleast_1d(stored[name]) for name in ARRAYS}
            shown = Game(
                str(stored["environment"]) if "environment" in stored else "",
                tuple(np.atleast_1d(stored["action_names"]).tolist()) if "action_names" in stored else (),
            )
    except (OSError, ValueError, KeyError, EOFError, TypeError, IndexError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"--demonstrations={path} cannot be read ({' '.join(str(error).split())})") from None
    _check_game(path, shown, game)
    length = len(arrays["frames"])
    kinds = OF_VECTORS if isinstance(actions, Vector) else ARRAYS
    for name, (kind, axes) in (kinds | {"frames": (dtype, 1 + len(observation_shape))}).items():
        if arrays[name].dtype != kind or arrays[name].ndim != axes or len(arrays[name]) != length:
            raise UserError(f"--demonstrations={path}: its {name} are not {np.dtype(kind)} [{length}, …]")
    if arrays["frames"].shape[1:] != observation_shape:
        raise UserError(
            f"--demonstrations={path}: its frames are {arrays['frames'].shape[1:]}, not {observation_shape}"
        )
    if length == 0 or not _fit(arrays["actions"], actions):
        are = words(actions) if isinstance(actions, Vector) else f"−1 … {actions - 1}"
        raise UserError(f"--demonstrations={path}: its actions are not {are}, as this game's are")
    if arrays["ends"].max() > 2 or not np.isfinite(arrays["rewards"]).all():
        raise UserError(f"--demonstrations={path}: its ends are not 0, 1 or 2, or a reward is no number")
    if not there(arrays["actions"]).any():
        raise UserError(f"--demonstrations={path} holds no action: nothing could be learned from it")
    if game.environment and not shown.environment:
        say(f"{path} does not say which game it is of: it is taken for one of {game.environment}")
    return arrays


def _fit(found: np.ndarray, actions: Actions) -> bool:
    if isinstance(actions, Vector):
        return found.shape[1] == actions.size and all(map(actions.holds, found[there(found)]))
    return found.max() < actions and found.min() >= -1


def length(path: pathlib.Path) -> int:
    """Ticks in a file that `read` has read: as many acts at most."""
    with np.load(path, allow_pickle=False) as stored:
        return len(stored["actions"])


def _check_game(path: pathlib.Path, shown: Game, game: Game) -> None:
    if game.environment and shown.environment and shown.environment != game.environment:
        raise UserError(f"--demonstrations={path} is of {shown.environment}, not of {game.environment}")
    if game.action_names and shown.action_names and shown.action_names != game.action_names:
        raise UserError(
            f"--demonstrations={path}: its actions are {', '.join(map(str, shown.action_names))}, "
            f"not {', '.join(game.action_names)} as of {game.environment or 'this game'}"
        )


def as_acts(
    arrays: dict[str, np.ndarray],
    delay: int,
    stacking: Stacking = Stacking(),  # noqa: B008
    accounting: Accounting = Accounting(),  # noqa: B008
    pending: Pending = Pending(),  # noqa: B008
    default_action=0,
    layout: np.dtype = NUMBER,
    beat=lambda: None,
) -> Acts:
    """The demonstration as the replay of an agent that acted with this delay, in ticks.

    The action of tick t then came from observation t − delay, as it does for the agent that will learn from it. An action
    whose observation would lie in the episode before becomes a default action. Its frames are kept as they are, numbered by tick.

    Args:
      default_action: what β is among the actions that an agent is told.
      layout: of an action, as in the run's own replay.
      beat: called now and then, as a long demonstration takes its time.
    """
    frames, builder = (
        arrays["frames"],
        ActBuilder(_as_numbered, stacking, accounting, pending),
    )
    columns = [arrays[name].tolist() for name in ("actions", "rewards", "ends")]
    given = there(arrays["actions"]).tolist()
    rows, start = [], 0
    for tick, (action, reward, end, is_given) in enumerate(zip(*columns, given, strict=True)):
        decided = tick - delay if is_given and tick - delay >= start else None
        in_force = action if is_given else default_action
        rows += builder.tick(tick, decided, start, in_force, reward, how_it_ended(end == 1, end == 2))
        start = tick + 1 if end else start
        if tick % PORTION == 0:
            beat()
    acts = np.zeros(len(rows) + 1, act_dtype(stacking.depth, pending.length, pending.reflex, layout))
    acts[: len(rows)] = rows
    kept = np.concatenate([frames, np.zeros((1, *frames.shape[1:]), frames.dtype)])
    numbers = np.array([[len(rows)], [len(frames)], [0]])
    return Acts(Ring(numbers[0], acts), Ring(numbers[1], kept), numbers[2], len(rows))


def _as_numbered(ticks: list[int], oldest: int) -> list[int]:
    return ticks
