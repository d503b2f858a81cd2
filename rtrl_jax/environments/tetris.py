"""Game Boy Tetris, from the user's own ROM (paper section 5.2): the reward is the change of the score."""

from rtrl_jax.environments import imported
from rtrl_jax.environments.gameboy import Console, Game, Judgement
from rtrl_jax.errors import UserError

PLAYING = 0
MOST_WAIT = 40  # frames before the game is begun, at random, so that pieces differ
LONGEST_START = 600  # frames


def game() -> Game:
    facts, states = imported.ready("tetris", "tetris")
    if facts.imported_states("tetris")[0].stem != facts.state_names("tetris")[0]:
        raise UserError(
            f"Tetris is begun from {facts.state_names('tetris')[0]}.state, which is missing: import it as well"
        )
    return rules(str(facts.rom_path), facts.ram, states[0])


def rules(rom: str, ram: dict, state: bytes) -> Game:
    """The game begun from a save state of the menu."""

    def begin(console: Console, encounter: int, rng) -> None:
        console.restore(state)
        console.step()  # its picture comes with the next frame
        console.step(frames=int(rng.integers(MOST_WAIT + 1)))
        before = console.picture().copy()
        console.step("START", "A")
        for _ in range(LONGEST_START):
            console.step()
            picture = console.picture()
            if picture.std() > 0 and (picture != before).any():
                return
        raise RuntimeError("START and A begin no game from this save state: import Tetris's TypeA_Level0 again")

    return Game(rom, ram, begin, judge)


def judge(before: dict, after: dict, notes: dict) -> Judgement:
    over = after["phase"] != PLAYING
    return Judgement(float(after["score"] - before["score"]), won=False if over else None)
