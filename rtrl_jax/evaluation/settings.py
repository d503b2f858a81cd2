"""The settings of an evaluation: the one list from which launch/evaluate.py makes its flags.

A setting's text is its help.
"""

import math
from dataclasses import dataclass, fields

from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import controls
from rtrl_jax.evaluation.schedule import NEVER, Schedule, asynchronous, sequential
from rtrl_jax.latency import LONGEST_MS
from rtrl_jax.settings import MOST_TICKS, Settings
from rtrl_jax.settings_fields import check, facts, same_as, setting, when
from rtrl_jax.settings_texts import stated_action

HALF_AN_HOUR = 108_000  # ticks of an Atari game
ROUNDING = 1e-9  # of a tick
CHECKPOINT = when("policy", "checkpoint")._replace(hint="leave one of the two out")


def _seeds(text, flag: str) -> list[int]:
    parts = str(text).split(",")
    if not all(part.strip().isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
        raise UserError(f"--{flag}={text}: give different whole numbers, e.g. 0,1,2")
    return [int(part) for part in parts]


def _epsilon(text, flag: str) -> float | None:
    """None: the run's."""
    try:
        value = None if text == "run" else float(text)
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value <= 1:
        raise UserError(f"--{flag}={text}: give {_epsilon.range}")
    return value


_epsilon.range = "a number between 0 and 1, or run"


def _left_to_the_run(name: str):
    """A field as that of a run's settings, whose default is what the run had, else what the run's default is."""
    known = facts(Settings.__dataclass_fields__[name])
    return setting(None, f"{known.help}; default: as in the run", between=(known.at_least, known.at_most))


@dataclass(frozen=True)
class Evaluation:
    checkpoint: str | None = setting(
        None, "a run's folder or one of its checkpoints", group="What plays", belongs_to=CHECKPOINT
    )
    policy: str = setting(
        "checkpoint",
        "what plays: a checkpoint, random actions, nothing but the default action, one action throughout, two in turn, or "
        "controls, all of these at one and at four ticks an action, of which the best is found",
        parse=controls.parse,
    )
    epsilon: str = setting(
        "0", "probability that a checkpoint's decision is a random one; run: what the run's falls to", parse=_epsilon
    )

    environments: str | None = setting(
        None, "where, e.g. atari/Boxing,atari/Krull; default: where the checkpoint learned", group="Where and how much"
    )
    rate_hz: float | None = same_as(
        Settings, "rate_hz", "ticks a second; default: as in the run, else the environment's own"
    )
    default_action_index: int | None = same_as(
        Settings,
        "default_action_index",
        "which action the no-op is; default: as in the run, else the environment's own",
    )
    environment_kwargs: str | None = same_as(
        Settings, "environment_kwargs", "keywords for gymnasium.make as a JSON object; default: as in the run"
    )
    sticky_actions: float | None = _left_to_the_run("sticky_actions")
    noop_starts: int | None = _left_to_the_run("noop_starts")
    frame_skip: int | None = _left_to_the_run("frame_skip")
    press_frames: int | None = _left_to_the_run("press_frames")
    episodes: int = setting(100, "episodes of each environment and seed", between=(1, MOST_TICKS))
    seeds: str = setting("0", "e.g. 0,1,2", parse=_seeds)
    max_ticks_per_episode: int = setting(
        HALF_AN_HOUR, "cut longer episodes off; Atari: 108000 is half an hour", between=(1, MOST_TICKS)
    )

    delay: int | None = setting(
        None,
        "ticks from an observation to the action decided from it; default: as in the run, else 1, no delay",
        group="As a model of any size would",
        between=(1, MOST_TICKS),
    )
    inference_ms: float | None = setting(
        None,
        "in place of --delay: how long an inference takes, in the environment's time",
        above=0,
        at_most=LONGEST_MS,
    )
    inaction: str | None = setting(
        None,
        "async: enough processes to act in every tick; sequential: one, and the default action while it thinks; default: as "
        "in the run, else async",
        ("async", "sequential"),
    )
    default_action: str | None = setting(
        None,
        "what acts while no decision is ready: noop, repeat, or where actions are vectors an action; default: as in the run, "
        "else noop",
        parse=stated_action,
    )
    action_every: int | None = setting(
        None,
        "decide at every so many-th observation and hold the action for so many ticks; default: as in the run, else 1",
        between=(1, MOST_TICKS),
    )

    against: str | None = setting(
        None, "a controls.csv that --policy=controls has made: says whether what plays beats the best of them"
    )
    cores: str | None = same_as(Settings, "cores", group="Machine and output")
    out: str | None = setting(None, "folder for the results, new or empty; default runs/<time>-evaluation")

    def check(self) -> None:
        """Raises UserError if a value is out of range or contradicts another."""
        check(self)
        if self.delay is not None and self.inference_ms is not None:
            raise UserError("--delay and --inference_ms say the same: give one")
        if self.policy == "checkpoint" and self.checkpoint is None:
            raise UserError("say what to evaluate: --checkpoint=RUN, or --policy=random, noop, constant:ACTION, …")
        if self.policy != "checkpoint" and self.environments is None:
            raise UserError("say where to play: --environments=atari/Boxing")
        if self.policy == "controls" and self.action_every not in (None, 1):
            raise UserError("--policy=controls plays at one and at four ticks an action: leave out --action_every")

    def seed_list(self) -> list[int]:
        """Raises UserError if it is no list of different whole numbers from 0 on."""
        return _seeds(self.seeds, "seeds")

    def environment_list(self, of_checkpoint: str | None) -> list[str]:
        """Names, each once. Args: of_checkpoint: where the checkpoint learned."""
        names = [of_checkpoint] if self.environments is None else self.environments.split(",")
        return list(dict.fromkeys(name.strip() for name in names))

    def delay_ticks(self, rate_hz: float) -> int:
        """⌈τ_θ/τ_M⌉, at least 1: an answer within a tick acts in the next one."""
        if self.inference_ms is None:
            return self.delay or 1
        return max(1, math.ceil(self.inference_ms * rate_hz / 1e3 - ROUNDING))

    def schedule(self, spec: Spec, hold: int | None = None) -> Schedule:
        """Which decision acts when, in an environment of that rate. Args: hold: in place of --action_every."""
        if self.policy == "noop":
            return NEVER
        make = sequential if self.inaction == "sequential" else asynchronous
        return make(self.delay_ticks(spec.rate_hz), hold or self.action_every or 1)

    def as_dict(self) -> dict:
        return {item.name: getattr(self, item.name) for item in fields(self)}
