"""Records a demonstration of one of our own games, played by a script: something to learn from first, as in the paper's Tetris.

rtrl-demonstrate --environment=gameboy/stacks --frames=20000 --out=stacks.npz
rtrl-run --flagfile=stacks --demonstrations=stacks.npz --pretrain_steps=500
"""

import sys

import numpy as np
from absl import flags
from rich.progress import track

from rtrl_jax import environments
from rtrl_jax.environments import players
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.replay import demonstrations
from rtrl_jax.telemetry import files

PLAYERS = {
    "gameboy/stacks": players.stacks_player,
    "gameboy/duel-battles": players.duel_player,
    "gameboy/duel-catching": players.duel_player,
}
ENVIRONMENT = flags.DEFINE_string("environment", "gameboy/stacks", f"one of {', '.join(PLAYERS)}")
FRAMES = flags.DEFINE_integer("frames", 20_000, "frames to play", lower_bound=2)
SEED = flags.DEFINE_integer("seed", 0, "of the game", lower_bound=0)
OUT = flags.DEFINE_string("out", None, "file to write (.npz), which must not exist yet")


def main() -> None:
    if ENVIRONMENT.value not in PLAYERS:
        raise UserError(f"--environment={ENVIRONMENT.value}: there are scripts for {', '.join(PLAYERS)}")
    if OUT.value is None or not OUT.value.endswith(".npz"):
        raise UserError("say where to write the demonstration: --out=FILE.npz")
    out = files.check_file(OUT.value)
    game, frames, actions, rewards, ends = record(ENVIRONMENT.value, FRAMES.value, SEED.value)
    demonstrations.write(out, frames, actions, rewards, ends, game)
    print(f"wrote {out}: {len(actions)} frames, {(actions >= 0).sum()} actions, {rewards.sum():g} points")


def record(name: str, length: int, seed: int):
    """Plays `length` frames; returns the `Game` and the arrays of `replay.demonstrations`."""
    environment, player = environments.make(name), PLAYERS[name]()
    frames = np.zeros((length, *environment.spec.observation_shape), np.uint8)
    actions, rewards, ends = np.full(length, -1, np.int32), np.zeros(length, np.float32), np.zeros(length, np.uint8)
    fresh = True
    for tick in track(range(length), description="playing", disable=not sys.stderr.isatty()):
        if fresh:
            frames[tick], fresh = environment.reset(seed if tick == 0 else None), False
            continue
        action = player(environment.console)
        frames[tick], rewards[tick], terminated, truncated = environment.step(action)
        actions[tick] = action if action != environment.spec.default_action else -1
        ends[tick] = 1 if terminated else 2 if truncated else 0
        fresh = terminated or truncated
    if not ends[-1]:
        ends[-1] = 2  # the recording breaks off here
    environment.close()
    return demonstrations.Game(name, environment.spec.action_names), frames, actions, rewards, ends


def command() -> int:
    return run_command(main)
