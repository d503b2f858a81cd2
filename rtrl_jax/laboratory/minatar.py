"""Five games of MinAtar (Young and Tian 2019) as pgx has them in JAX, as worlds of the laboratory. Needs the extra `laboratory`.

No action is sticky: the delay is to be all that stands between a decision and what it does. An episode, for which pgx knows no
limit, is cut off after LIMIT ticks.
"""

import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rtrl_jax.errors import UserError
from rtrl_jax.laboratory.worlds import World

PREFIX = "minatar-"
GAMES = {  # module of pgx_minatar -> class
    "asterix": "MinAtarAsterix",
    "breakout": "MinAtarBreakout",
    "freeway": "MinAtarFreeway",
    "seaquest": "MinAtarSeaquest",
    "space_invaders": "MinAtarSpaceInvaders",
}
NAMES = tuple(PREFIX + game for game in GAMES)
LIMIT = 1000  # ticks


class Game(NamedTuple):
    state: Any  # pgx's
    ticks: Any  # [] int32


def world(name: str) -> World:
    """Args: name: of `NAMES`. Raises UserError if pgx is not installed."""
    game = name.removeprefix(PREFIX)
    try:
        module = importlib.import_module(f"pgx_minatar.{game}")
    except ImportError:
        raise UserError(f"--environment={name} needs pgx: pip install 'rtrl_jax[laboratory]'") from None
    made = getattr(module, GAMES[game])(sticky_action_prob=0.0)

    def reset(key) -> Game:
        return Game(made.init(key), jnp.int32(0))

    def step(game: Game, action, key):
        state, ticks = made.step(game.state, action, key), game.ticks + 1
        return Game(state, ticks), state.rewards[0].astype(jnp.float32), state.terminated, ticks >= LIMIT

    def observe(game: Game):
        return game.state.observation.ravel()

    (features,) = jax.eval_shape(lambda key: observe(reset(key)), jax.random.key(0)).shape
    return World(made.num_actions, features, reset, step, observe, "points an episode")
