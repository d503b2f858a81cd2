"""Stacks, our own game of falling blocks (homebrew/stacks.c). Waiting loses it."""

from rtrl_jax.environments.gameboy import Console, Game, Judgement, Variable
from rtrl_jax.environments.homebrew import rom

SEED = Variable(0xC000, "<u2")
PLAYING, TITLE = 0, 2
TITLE_FRAMES = 30  # until the title reads the buttons


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


def begin(console: Console, encounter: int, rng) -> None:
    """From wherever it is to the first piece of a new game, with a seed of its own."""
    while console.read(Variable(0xC010)) == PLAYING and console.read(Variable(0xC01D, "<u2")):
        console.step("UP")  # dropping every piece where it is soon ends a game that was broken off
        console.step()
    console.step(frames=TITLE_FRAMES)
    console.write(SEED, int(rng.integers(1, 1 << 16)))
    console.step("START")
    console.step(frames=8)  # until the well is drawn


def judge(before: dict, after: dict, notes: dict) -> Judgement:
    """The reward is the change of the score."""
    over = after["phase"] != PLAYING
    return Judgement(float(after["score"] - before["score"]), won=False if over else None)
