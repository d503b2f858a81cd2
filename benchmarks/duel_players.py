"""How far a player gets in Duel who knows its rules (homebrew/duel.c) and sees its memory: what an agent could reach, about.

python benchmarks/duel_players.py --frame_skip=12 --press_frames=4      120 episodes of each player, 4,000 frames at most

Players at a delay of 1, who press a button a tick. `first` chooses the first move of every menu, `capsules` throws one each time;
`strongest` takes the move that does the most damage on average; `expert` also swaps for a better match in battles, and in
catching plays what dynamic programming says is best.
Writes results/learning_curves/duel-players.csv.
"""

import csv
import pathlib
import sys
from functools import cache

import numpy as np
from absl import flags

from rtrl_jax import environments
from rtrl_jax.environments.gameboy import ACTIONS, Variable
from rtrl_jax.flags import run_command

FRAME_SKIP = flags.DEFINE_integer("frame_skip", 12, "frames a tick", lower_bound=1)
PRESS_FRAMES = flags.DEFINE_integer("press_frames", 4, "frames for which a button is held", lower_bound=1)
EPISODES = flags.DEFINE_integer("episodes", 120, "of each player", lower_bound=2)
MOST_FRAMES = flags.DEFINE_integer("most_frames", 4000, "after which an episode is cut off", lower_bound=1)
OUT = flags.DEFINE_string("out", "results/learning_curves", "folder for the table")

# The tables of duel.c.
PLAIN, FIRE, WATER, LEAF, STONE, VOLT = range(6)
STRONG = {FIRE: {LEAF}, WATER: {FIRE, STONE}, LEAF: {WATER, STONE}, STONE: {FIRE, VOLT}, VOLT: {WATER}, PLAIN: set()}
MOVES = [  # type, power, accuracy of 256
    *[(PLAIN, 40, 250), (FIRE, 48, 240), (WATER, 48, 240), (LEAF, 48, 240), (STONE, 48, 235), (VOLT, 48, 240)],
    *[(FIRE, 72, 170), (WATER, 72, 170), (LEAF, 72, 170), (STONE, 72, 165), (VOLT, 72, 160), (PLAIN, 64, 190)],
]
KINDS = [  # type, attack, moves
    *[(FIRE, 34, (1, 6, 0)), (WATER, 31, (2, 7, 0)), (LEAF, 32, (3, 8, 0))],
    *[(STONE, 33, (4, 9, 0)), (VOLT, 35, (5, 10, 0)), (PLAIN, 30, (0, 11, 4))],
]
OWN_LEVEL, CAPSULE, SWAP, MENU = 20, 3, 3, 2
ADDRESSES = {"phase": 0xC012, "cursor": 0xC015, "capsules": 0xC018, "own_count": 0xC019, "own": 0xC01B, "foe": 0xC01C}
SIDES = {
    "own_hp": (0xC020, 2),
    "foe_hp": (0xC026, 2),
    "foe_most": (0xC032, 2),
    "own_kind": (0xC038, 1),
    "foe_kind": (0xC03B, 1),
}


def strength(attack: int, defence: int) -> float:
    """By how much a type's damage to another is multiplied."""
    if defence in STRONG[attack]:
        return 2.0
    return 0.5 if attack != PLAIN and (attack == defence or attack in STRONG[defence]) else 1.0


def damage(move: int, by: int, level: int, against: int) -> float:
    """Mean points, misses included, of one kind's move at a level against another kind."""
    kind, power, accuracy = MOVES[move]
    points = (KINDS[by][1] + level) * power // 200 * strength(kind, KINDS[against][0])
    return points * (218 + 18.5) / 256 * accuracy / 256


def strongest(memory: dict) -> int:
    own, foe = memory["own_kind"][memory["own"]], memory["foe_kind"][memory["foe"]]
    return max(range(3), key=lambda choice: damage(KINDS[own][2][choice], own, OWN_LEVEL, foe))


def match(own: int, foe: int, foe_level: int) -> float:
    """Damage done to damage taken."""
    done = max(damage(move, own, OWN_LEVEL, foe) for move in KINDS[own][2])
    return done / max(damage(move, foe, foe_level, own) for move in KINDS[foe][2])


def expert_battle(memory: dict) -> int:
    own, foe, level = memory["own"], memory["foe"], 4 + memory["encounter"] // 2
    others = [(own + step) % memory["own_count"] for step in range(1, memory["own_count"])]
    following = next((one for one in others if memory["own_hp"][one]), None)
    if following is None or memory["foe_hp"][foe] <= 15:
        return strongest(memory)
    kinds, against = memory["own_kind"], memory["foe_kind"][foe]
    better = match(kinds[following], against, level) > 1.8 * match(kinds[own], against, level)
    return SWAP if better else strongest(memory)


def expert_catch(memory: dict) -> int:
    return best_catch(
        memory["encounter"], memory["foe_kind"][0], memory["foe_most"][0], memory["foe_hp"][0], memory["capsules"]
    )[1]


@cache
def best_catch(encounter: int, kind: int, most: int, hp: int, capsules: int, turns: int = 9) -> tuple[float, int]:
    """(expected return, choice that has it) within so many turns, after which one's own creature has fallen."""
    if not turns or not capsules:
        return -1.0, CAPSULE
    flees = encounter / 200

    def later(hp: int, capsules: int) -> float:
        return (1 - flees) * best_catch(encounter, kind, most, hp, capsules, turns - 1)[0] - flees

    catches = int((230 - 5 * encounter) * (3 * most - 2 * hp) / (3 * most)) / 256
    options = [(catches + (1 - catches) * later(hp, capsules - 1), CAPSULE)]
    for choice, move in enumerate(KINDS[5][2]):
        of_type, power, accuracy = MOVES[move]
        points = int(50 * power // 200 * strength(of_type, KINDS[kind][0]))
        hits = [max(1, points * (218 + chance) >> 8) for chance in range(38)]
        kept = [-1.0 if hit >= hp else later(hp - hit, capsules) for hit in hits]
        options.append((accuracy / 256 * np.mean(kept) + (1 - accuracy / 256) * later(hp, capsules), choice))
    return max(options)


PLAYERS = {
    "battles": {"first": lambda memory: 0, "strongest": strongest, "expert": expert_battle},
    "catching": {"first": lambda memory: 0, "capsules": lambda memory: CAPSULE, "expert": expert_catch},
}


def read(console, encounter: int) -> dict:
    """What a player looks at."""
    found = {name: console.read(Variable(address)) for name, address in ADDRESSES.items()} | {"encounter": encounter}
    for name, (address, size) in SIDES.items():
        found[name] = [console.read(Variable(address + size * i, f"<u{size}" if size > 1 else "|u1")) for i in range(3)]
    return found


def button(memory: dict, player) -> str:
    """A goes on behind messages; in a menu the cursor goes to what is wanted first."""
    if memory["phase"] != MENU:
        return "A"
    wanted = player(memory)
    return "A" if memory["cursor"] == wanted else "DOWN" if memory["cursor"] < wanted else "UP"


def play(world, console, player, number: int) -> tuple[float, bool]:
    """(return, whether it was won) of an episode."""
    encounter, earned = number % world.encounters, 0.0
    world.reset(number, encounter=encounter)
    for _ in range(MOST_FRAMES.value // FRAME_SKIP.value):
        _, reward, terminated, _ = world.step(ACTIONS.index(button(read(console, encounter), player)))
        earned += reward
        if terminated:
            break
    return earned, world.progress.wins > 0


def main() -> None:
    rows = []
    for setting, players in PLAYERS.items():
        game = environments.make(f"gameboy/duel-{setting}")
        world = environments.wrapped(game, 0.0, 0, FRAME_SKIP.value, PRESS_FRAMES.value)
        for name, player in players.items():
            played = [play(world, game.console, player, number) for number in range(EPISODES.value)]
            returns, won = np.array(played).T
            error = returns.std(ddof=1) / EPISODES.value**0.5
            row = {
                "game": f"duel-{setting}",
                "player": name,
                "episodes": EPISODES.value,
                "frame_skip": FRAME_SKIP.value,
            }
            row |= {
                "press_frames": PRESS_FRAMES.value,
                "mean": returns.mean(),
                "standard_error": error,
                "won": won.mean(),
            }
            rows.append(row)
            print(f"{row['game']}, {name}: {returns.mean():.2f} ± {1.96 * error:.2f}, won {won.mean():.0%}", flush=True)
        world.close()
    path = pathlib.Path(OUT.value) / "duel-players.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(run_command(main))
