"""The rules for rewards that Duel and Pokémon share (paper section 5.1): battling and catching.

Pure functions over values read from RAM: `own_hp_i` and `foe_hp_i` for the members of each side (0 for none);
`in_battle`, `box_count` and `owned_i`, the bytes of a bit for each kind of creature owned.
"""

from rtrl_jax.environments.gameboy import Judgement


def judge_battle(before: dict, after: dict, notes: dict) -> Judgement:
    """+1 for each opponent whose HP falls from above 0 to 0, −1 for each of one's own.

    The encounter is over when nobody of a side is left, and won if the last reward that was not 0 was positive.
    """
    fell = {side: sum(before[name] > 0 and after[name] == 0 for name in _hp(before, side)) for side in ("own", "foe")}
    reward = fell["foe"] - fell["own"]
    if reward:
        notes["last_reward"] = reward
    over = any(not any(after[name] for name in _hp(after, side)) for side in ("own", "foe"))
    return Judgement(float(reward), won=notes.get("last_reward", 0) > 0 if over else None)


def _hp(values: dict, side: str) -> list[str]:
    return [name for name in values if name.startswith(f"{side}_hp_")]


def judge_catch(before: dict, after: dict, notes: dict) -> Judgement:
    """+1, once, when the box holds one more or a new bit is owned; −1 when the battle is over without.

    The encounter is over when nobody is in battle, and won if the creature was caught.
    """
    reward = 0
    if not notes.get("caught") and _caught_one(before, after):
        notes["caught"] = reward = 1
    over = after["in_battle"] == 0
    if over and not notes.get("caught"):
        reward = -1
    return Judgement(float(reward), won=bool(notes.get("caught")) if over else None)


def _caught_one(before: dict, after: dict) -> bool:
    if after["box_count"] == before["box_count"] + 1:
        return True
    owned = [name for name in before if name.startswith("owned_")]
    return any(after[name] & ~before[name] for name in owned)
