"""Three small worlds written in JAX, pure and vectorisable: Catch (Mnih et al. 2014), a Breakout like MinAtar's, and a chain.

The games are larger than the originals, so that a delay of sixteen ticks leaves something to decide; the chain is
`toy/chain-0.9` with fewer states, whose best return is known. An observation is a vector of bits that says all there is to
know of the state, but not which actions are under way. Action 0 is β.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.theory import chain_loss

MOVES = np.array([0, -1, 1])  # of the paddle, by action


class World(NamedTuple):
    actions: int
    features: int
    reset: Callable  # key -> state
    step: Callable  # (state, action [] int32, key) -> (state, reward [] float32, terminated [] bool, truncated [] bool)
    observe: Callable  # state -> [features] bool
    unit: str  # of the return
    best: Callable | None = None  # (delay in ticks, sequential) -> the best policy's mean return, where it is known


# Catch: a ball falls a row a tick, and the paddle below should be where it lands. Ten balls are an episode.
CATCH_ROWS, CATCH_COLUMNS, CATCH_BALLS = 16, 11, 10


class Catch(NamedTuple):
    ball_x: Any
    ball_y: Any
    paddle: Any
    balls: Any  # that have landed


def _catch_reset(key) -> Catch:
    ball, paddle = jax.random.randint(key, (2,), 0, CATCH_COLUMNS)
    return Catch(ball, jnp.int32(0), paddle, jnp.int32(0))


def _catch_step(state: Catch, action, key):
    paddle = jnp.clip(state.paddle + jnp.asarray(MOVES)[action], 0, CATCH_COLUMNS - 1)
    landed = state.ball_y + 1 == CATCH_ROWS - 1
    reward = (landed & (state.ball_x == paddle)).astype(jnp.float32)
    balls = state.balls + landed
    ball_x = jnp.where(landed, jax.random.randint(key, (), 0, CATCH_COLUMNS), state.ball_x)
    ball_y = jnp.where(landed, 0, state.ball_y + 1)
    # The number of balls is not observed, so its end is no state's: a truncation.
    return Catch(ball_x, ball_y, paddle, balls), reward, jnp.bool_(False), balls == CATCH_BALLS


def _catch_observe(state: Catch):
    return _bits((state.ball_x, CATCH_COLUMNS), (state.ball_y, CATCH_ROWS), (state.paddle, CATCH_COLUMNS))


# Breakout: the ball flies a cell a tick, diagonally; a brick is worth 1, and a ball that passes the paddle ends the episode.
BREAKOUT_ROWS, BREAKOUT_COLUMNS, BRICK_ROWS = 16, 10, (1, 4)
BREAKOUT_LIMIT = 1000  # ticks


class Breakout(NamedTuple):
    ball_x: Any
    ball_y: Any
    dx: Any
    dy: Any
    paddle: Any
    bricks: Any  # [rows, columns] bool
    ticks: Any


def _wall():
    return jnp.zeros((BREAKOUT_ROWS, BREAKOUT_COLUMNS), bool).at[slice(*BRICK_ROWS)].set(True)


def _breakout_reset(key) -> Breakout:
    x, side = jax.random.randint(key, (2,), 0, BREAKOUT_COLUMNS)
    zero = jnp.int32(0)
    return Breakout(x, zero + BRICK_ROWS[1], 2 * (side % 2) - 1, zero + 1, zero + BREAKOUT_COLUMNS // 2, _wall(), zero)


def _breakout_step(state: Breakout, action, key):
    del key  # nothing is random after the start
    paddle = jnp.clip(state.paddle + jnp.asarray(MOVES)[action], 0, BREAKOUT_COLUMNS - 1)
    x = state.ball_x + state.dx
    dx = jnp.where((x < 0) | (x >= BREAKOUT_COLUMNS), -state.dx, state.dx)
    x = jnp.clip(x, 0, BREAKOUT_COLUMNS - 1)
    y = state.ball_y + state.dy
    ceiling = y < 0
    brick = ~ceiling & state.bricks[y, x]
    floor = y == BREAKOUT_ROWS - 1
    over_it, corner = floor & (state.ball_x == paddle), floor & (state.ball_x != paddle) & (x == paddle)
    lost = floor & ~over_it & ~corner
    bricks = state.bricks.at[y, x].set(jnp.where(brick, False, state.bricks[y, x]))
    bricks = jnp.where(floor & ~bricks.any(), _wall(), bricks)  # a new wall once the ball is back at the paddle
    turned = ceiling | brick | over_it | corner
    dx = jnp.where(corner, -dx, dx)
    ticks = state.ticks + 1
    state = Breakout(
        x,
        jnp.where(turned, state.ball_y, y),
        dx,
        jnp.where(turned, -state.dy, state.dy),
        paddle,
        bricks,
        ticks,
    )
    return state, brick.astype(jnp.float32), lost, ~lost & (ticks == BREAKOUT_LIMIT)


def _breakout_observe(state: Breakout):
    bits = _bits(
        (state.ball_x, BREAKOUT_COLUMNS),
        (state.ball_y, BREAKOUT_ROWS),
        (state.paddle, BREAKOUT_COLUMNS),
    )
    heading = jnp.stack([state.dx > 0, state.dy > 0])
    return jnp.concatenate([bits, heading, state.bricks[slice(*BRICK_ROWS)].ravel()])


# A chain: the state moves on with probability p, else anywhere else; naming the state it is in pays 1, whatever comes of it.
CHAIN_STATES, CHAIN_P, CHAIN_TICKS = 16, 0.9, 100


class Chain(NamedTuple):
    position: Any
    ticks: Any


def _chain_reset(key) -> Chain:
    return Chain(jax.random.randint(key, (), 0, CHAIN_STATES), jnp.int32(0))


def _chain_step(state: Chain, action, key):
    reward = (action == state.position + 1).astype(jnp.float32)
    chance, place = jax.random.split(key)
    elsewhere = jax.random.randint(place, (), 2, CHAIN_STATES + 1)
    move = jnp.where(jax.random.uniform(chance) < CHAIN_P, 1, elsewhere)
    ticks = state.ticks + 1
    return Chain((state.position + move) % CHAIN_STATES, ticks), reward, jnp.bool_(False), ticks == CHAIN_TICKS


def _chain_observe(state: Chain):
    return _bits((state.position, CHAIN_STATES))


def _chain_best(delay: int, sequential: bool) -> float:
    """No decision acts in an episode's first `delay` ticks, of which one is the reset; sequential ones act on one in `delay`."""
    acting = max(0, CHAIN_TICKS + 1 - delay) / (delay if sequential else 1)
    return acting * (1 - float(chain_loss(CHAIN_P, delay - 1, CHAIN_STATES)))


def _bits(*places):
    return jnp.concatenate([jnp.arange(size) == value for value, size in places])


def _world(actions, reset, step, observe, unit, best=None) -> World:
    (features,) = jax.eval_shape(lambda key: observe(reset(key)), jax.random.key(0)).shape
    return World(actions, features, reset, step, observe, unit, best)


WORLDS = {
    "catch": _world(len(MOVES), _catch_reset, _catch_step, _catch_observe, f"balls caught of {CATCH_BALLS}"),
    "breakout": _world(len(MOVES), _breakout_reset, _breakout_step, _breakout_observe, "bricks an episode"),
    "chain": _world(
        CHAIN_STATES + 1, _chain_reset, _chain_step, _chain_observe, f"hits in {CHAIN_TICKS} ticks", _chain_best
    ),
}
