"""Open-loop controls: play that looks at nothing. What an agent scores says something once it is better than all of them.

A control repeats one action, or two in turn, and holds each for some ticks. `rounds` says which of them are played how often
until one is left: the best of many is better by chance than it is, so it is played once more, on fresh episodes.
"""

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from rtrl_jax.actions import Vector, words
from rtrl_jax.environments.spec import Spec
from rtrl_jax.errors import UserError, nearest

HOLDS = (1, 4)  # ticks that a control holds an action for
KEPT = 4  # a round keeps one in so many
FEWEST_EPISODES = 3  # of each control in the first round
FORMS = "checkpoint, random, noop, constant:ACTION, alternate:ACTION,ACTION or controls"


class Control(NamedTuple):
    name: str  # as --policy takes it
    hold: int  # ticks for which each of its actions is held
    pattern: tuple[int, ...] = ()  # its actions in turn, one a decision; (): drawn at random, or none at all


def parse(text, flag: str = "policy") -> tuple[str, tuple[str, ...]]:
    """(what kind of policy, the actions that it names) of --policy. Raises UserError."""
    kind, _, rest = str(text).partition(":")
    names = tuple(part.strip() for part in rest.split(",")) if rest else ()
    wanted = {"constant": 1, "alternate": 2}.get(kind, 0)
    if kind not in ("checkpoint", "random", "noop", "controls", "constant", "alternate") or len(names) != wanted:
        raise UserError(f"--{flag}={text}: give {FORMS}")
    if len(set(names)) < len(names):
        raise UserError(f"--{flag}={text}: give two different actions, or constant:{names[0]}")
    return kind, names


parse.range = FORMS


def pattern(policy: str, environment: str, spec: Spec) -> tuple[int, ...]:
    """The actions that a policy names, as numbers. Raises UserError if the game lacks one."""
    names = parse(policy)[1]
    if names and isinstance(spec.actions, Vector):
        raise UserError(
            f"--policy={policy}: {environment} has {words(spec.actions)}: give --policy=noop and that "
            "action as --default_action, such as 0.5,0"
        )
    return tuple(_number(name, policy, environment, spec) for name in names)


def _number(name: str, policy: str, environment: str, spec: Spec) -> int:
    known = {called.lower(): number for number, called in enumerate(spec.action_names)}
    found = int(name) if re.fullmatch(r"\d{1,9}", name) else known.get(name.lower())
    if found is None or found >= spec.actions:
        listed = f": {', '.join(spec.action_names)}" if spec.action_names else ""
        raise UserError(
            f"--policy={policy}: {environment} has no action {name}{nearest(name, list(spec.action_names))} "
            f"(it has {spec.actions}, numbered from 0{listed})"
        )
    return found


def every(spec: Spec, *, gaps: bool) -> list[Control]:
    """Each action throughout, each two in turn, at each of `HOLDS`, then random play at each, and doing nothing.

    Where actions are vectors only the latter two.

    Args:
      gaps: whether β acts between decisions; if not, one action throughout is the same at any hold.
    """
    if isinstance(spec.actions, Vector):
        return baselines()
    names = spec.action_names or tuple(map(str, range(spec.actions)))
    actions = range(spec.actions)
    found = [Control(f"constant:{names[k]}", hold, (k,)) for hold in (HOLDS if gaps else HOLDS[:1]) for k in actions]
    found += [
        Control(f"alternate:{names[k]},{names[other]}", hold, (k, other))
        for hold in HOLDS
        for k, other in itertools.combinations(actions, 2)
    ]
    return found + baselines()


def baselines() -> list[Control]:
    """Random play at each of `HOLDS`, and doing nothing."""
    return [*(Control("random", hold) for hold in HOLDS), Control("noop", 1)]


class Round(NamedTuple):
    """Which controls are played, and on which episodes."""

    controls: list[int]  # places in the list of all
    numbers: list[int]  # of the episodes that each of them plays


def first_round(controls: Sequence[Control], encounters: int) -> Round:
    """All that could be chosen: doing nothing and random play need no choosing."""
    chosen = [place for place, control in enumerate(controls) if control.pattern]
    return Round(chosen, _numbers(0, max(FEWEST_EPISODES, encounters // 4), encounters))


def next_round(last: Round, returns: dict[int, list[float]], encounters: int) -> Round:
    """The best quarter of the last round's, on twice as many new episodes. Args: returns: of each place until now."""
    left = sorted(last.controls, key=lambda place: -_mean(returns[place]))[: math.ceil(len(last.controls) / KEPT)]
    played = len(returns[left[0]])
    return Round(left, _numbers(played, 2 * len(last.numbers), encounters))


def _numbers(first: int, count: int, encounters: int) -> list[int]:
    """Episodes by number, such that few are already of encounters from all over the game, and many of each alike."""
    step = next((n for n in range(max(1, round(encounters * 0.618)), encounters) if math.gcd(n, encounters) == 1), 1)
    return [k // encounters * encounters + k * step % encounters for k in range(first, first + count)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
