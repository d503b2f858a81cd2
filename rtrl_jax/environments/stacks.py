"""Stacks, our own game of falling blocks (homebrew/stacks.c). Waiting loses it."""

from functools import cache

from rtrl_jax.environments.gameboy import Console, Game, Judgement, Variable
from rtrl_jax.environments.homebrew import rom, stored_states

SEED = Variable(0xC000, "<u2")
PLAYING = 0


def game() -> Game:
    return Game(
        rom=rom("stacks"),
        ram={
            "phase": Variable(0xC010),
            "level": Variable(0xC011),
            "lines": Variable(0xC012, "<u2"),
            "score": Variable(0xC014, "<u4"),
        },
        begin=begin,
        judge=judge,
    )


@cache
def title() -> bytes:
    """The save state of the title, where a game is begun from. What `make states` stores."""
    return stored_states("stacks")[0]


def begin(console: Console, encounter: int, rng) -> None:
    """From the title to the first piece of a new game, with a seed of its own."""
    console.restore(title())
    console.write(SEED, int(rng.integers(1, 1 << 16)))
    console.step("START")
    console.step(frames=8)  # until the well is drawn


def make_states() -> list[bytes]:
    console = Console(rom("stacks"))
    console.step(frames=60)
    state = console.save()
    console.close()
    return [state]


def judge(before: dict, after: dict, notes: dict) -> Judgement:
    """The reward is the change of the score."""
    over = after["phase"] != PLAYING
    return Judgement(float(after["score"] - before["score"]), won=False if over else None)
