"""Scripted players of our own games. They read the RAM, so they are no agents: they show what can be reached, and record
demonstrations.

A player is a function from a console to an action's number (`gameboy.ACTIONS`; one more is β), called before every frame.
"""

import numpy as np

from rtrl_jax.environments.gameboy import ACTIONS, Console, Variable

NOTHING = len(ACTIONS)
A, B, LEFT, UP, RIGHT, DOWN = range(len(ACTIONS))


def tapping(player):
    """Lets every button go for a frame after it was pressed: the games count presses, not frames."""
    state = {"down": False}

    def act(console: Console) -> int:
        state["down"] = not state["down"]
        return player(console) if state["down"] else NOTHING

    return act


# ---------------------------------------------------------------- Duel

MENU, MESSAGE = 2, 1
PLAIN, FIRE, WATER, LEAF, STONE, VOLT = range(6)
STRONG = {FIRE: {LEAF}, WATER: {FIRE, STONE}, LEAF: {WATER, STONE}, STONE: {FIRE, VOLT}, VOLT: {WATER}, PLAIN: set()}
TYPES = (FIRE, WATER, LEAF, STONE, VOLT, PLAIN)  # of the six kinds
MOVES = (  # of the six kinds: (type, power, accuracy of 256)
    ((FIRE, 48, 240), (FIRE, 72, 170), (PLAIN, 40, 250)),
    ((WATER, 48, 240), (WATER, 72, 170), (PLAIN, 40, 250)),
    ((LEAF, 48, 240), (LEAF, 72, 170), (PLAIN, 40, 250)),
    ((STONE, 48, 235), (STONE, 72, 165), (PLAIN, 40, 250)),
    ((VOLT, 48, 240), (VOLT, 72, 160), (PLAIN, 40, 250)),
    ((PLAIN, 40, 250), (PLAIN, 64, 190), (STONE, 48, 235)),
)
SWAP_OR_CAPSULE = 3
WILD = 1


def _strength(attack: int, defence: int) -> float:
    if defence in STRONG[attack]:
        return 2.0
    if attack != PLAIN and (attack == defence or attack in STRONG[defence]):
        return 0.5
    return 1.0


def _duel_choice(console: Console) -> int:
    """Which of the four entries of the menu a competent player takes."""

    def byte(address):
        return console.read(Variable(address))

    def word(address):
        return console.read(Variable(address, "<u2"))

    own, foe = byte(0xC01B), byte(0xC01C)
    own_kind, foe_type = byte(0xC038 + own), TYPES[byte(0xC03B + foe)]
    worth = [power * accuracy * _strength(kind, foe_type) for kind, power, accuracy in MOVES[own_kind]]
    if byte(0xC013) == WILD:
        hp, most = word(0xC026), word(0xC032)
        if hp * 2 < most:
            return SWAP_OR_CAPSULE
        return int(np.argmin(worth))  # weaken it, gently
    better = [
        i
        for i in range(byte(0xC019))
        if i != own
        and word(0xC020 + 2 * i)
        and _strength(TYPES[byte(0xC038 + i)], foe_type) > _strength(TYPES[own_kind], foe_type)
    ]
    if better and _strength(TYPES[own_kind], foe_type) < 1 and word(0xC020 + 2 * own) * 2 > word(0xC02C + 2 * own):
        return SWAP_OR_CAPSULE
    return int(np.argmax(worth))


def duel_player():
    """Picks the strongest move for the foe's type, swaps out of a bad match, and weakens a wild one before it throws."""

    def act(console: Console) -> int:
        if console.read(Variable(0xC012)) != MENU:
            return A
        wanted, cursor = _duel_choice(console), console.read(Variable(0xC015))
        return A if wanted == cursor else DOWN if wanted > cursor else UP

    return tapping(act)


# ---------------------------------------------------------------- Stacks

WIDTH, HEIGHT = 10, 18
SHAPES = (
    (0x0F00, 0x4444, 0x0F00, 0x4444),
    (0x0660, 0x0660, 0x0660, 0x0660),
    (0x0E40, 0x4C40, 0x4E00, 0x4640),
    (0x06C0, 0x4620, 0x06C0, 0x4620),
    (0x0C60, 0x2640, 0x0C60, 0x2640),
    (0x0E20, 0x44C0, 0x8E00, 0x6440),
    (0x0E80, 0xC440, 0x2E00, 0x4460),
)


def _cells(piece: int, turn: int) -> list[tuple[int, int]]:
    bits = SHAPES[piece][turn]
    return [(i // 4, i % 4) for i in range(16) if bits >> (15 - i) & 1]


def _best_placement(well: np.ndarray, piece: int) -> tuple[int, int]:
    """(turn, column of the box) with the best weighing of height, holes, bumps and lines (after Dellacherie and others)."""
    best, found = -np.inf, (0, 3)
    for turn in range(4 if piece not in (0, 1, 3, 4) else 1 if piece == 1 else 2):
        cells = _cells(piece, turn)
        for x in range(-2, WIDTH):
            if not all(0 <= x + column < WIDTH for _, column in cells):
                continue
            y = -4
            while all(
                y + 1 + row < HEIGHT and (y + 1 + row < 0 or not well[y + 1 + row, x + col]) for row, col in cells
            ):
                y += 1
            if any(y + row < 0 for row, _ in cells):
                continue
            after = well.copy()
            for row, column in cells:
                after[y + row, x + column] = True
            full = after.all(axis=1)
            after = np.vstack([np.zeros((full.sum(), WIDTH), bool), after[~full]])
            heights = HEIGHT - np.where(after.any(axis=0), after.argmax(axis=0), HEIGHT)
            holes = heights.sum() - after.sum()
            value = 0.76 * full.sum() - 0.51 * heights.sum() - 0.36 * 3 * holes - 0.18 * np.abs(np.diff(heights)).sum()
            if value > best:
                best, found = value, (turn, x)
    return found


def stacks_player():
    """Chooses a place for each piece, steers it there and lets it fall fast."""
    plan = {"pieces": None, "place": (0, 3)}

    def act(console: Console) -> int:
        number = console.read(Variable(0xC01D, "<u2"))
        if number != plan["pieces"]:
            well = np.array([console.read(Variable(0xC040 + i)) for i in range(WIDTH * HEIGHT)]).reshape(HEIGHT, WIDTH)
            plan.update(pieces=number, place=_best_placement(well > 0, console.read(Variable(0xC018))))
        turn, x = plan["place"]
        if console.read(Variable(0xC01A)) != turn:
            return A
        at = console.read(Variable(0xC01B, "|i1"))
        return LEFT if at > x else RIGHT if at < x else DOWN

    tapped = tapping(act)
    return lambda console: DOWN if act(console) == DOWN else tapped(console)  # DOWN is held


def random_player(rng: np.random.Generator):
    """Presses a random button on every frame, as an agent with ε = 1 does."""
    return lambda console: int(rng.integers(len(ACTIONS)))
