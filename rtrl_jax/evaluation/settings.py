"""The settings of an evaluation: the one list from which launch/evaluate.py makes its flags.

A setting's comment is its help text.
"""

import math
from dataclasses import dataclass, field, fields

from rtrl_jax.environments import Spec, keywords
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation.schedule import NEVER, Schedule, asynchronous, sequential

HALF_AN_HOUR = 108_000  # ticks of an Atari game
ROUNDING = 1e-9  # of a tick


def _setting(default, help_text: str, choices: tuple[str, ...] | None = None):
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class Evaluation:
    checkpoint: str | None = _setting(None, "a run's folder or one of its checkpoints")
    policy: str = _setting(
        "checkpoint",
        "what plays: a checkpoint, random actions, or nothing but the default action",
        ("checkpoint", "random", "noop"),
    )
    environments: str | None = _setting(
        None, "where, e.g. atari/Boxing,atari/Krull; default: where the checkpoint learned"
    )
    episodes: int = _setting(100, "episodes of each environment and seed")
    seeds: str = _setting("0", "e.g. 0,1,2")
    delay: int | None = _setting(None, "ticks from an observation to the action decided from it; default 1, no delay")
    inference_ms: float | None = _setting(
        None, "in place of --delay: how long an inference takes, in the environment's time"
    )
    inaction: str = _setting(
        "async",
        "async: enough processes to act in every tick; sequential: one, and the default action while it thinks",
        ("async", "sequential"),
    )
    action_every: int = _setting(1, "decide at every so many-th observation and hold the action for so many ticks")
    epsilon: float = _setting(0.05, "probability that a checkpoint's decision is a random one")
    max_ticks_per_episode: int = _setting(HALF_AN_HOUR, "cut longer episodes off; Atari: 108000 is half an hour")
    rate_hz: float | None = _setting(None, "ticks a second; default: as in the run, else the environment's own rate")
    default_action_index: int | None = _setting(
        None, "which action the no-op is; default: as in the run, else the environment's own"
    )
    environment_kwargs: str | None = _setting(
        None, "keywords for gymnasium.make as a JSON object; default: as in the run"
    )
    cores: str | None = _setting(None, "processor cores to use, e.g. 0,1 or 0-3; default: all that are allowed")
    out: str | None = _setting(None, "folder for the results, new or empty; default runs/<time>-evaluation")

    def check(self) -> None:
        """Raises UserError if a value is out of range or contradicts another."""
        for name in ("episodes", "delay", "inference_ms", "action_every", "max_ticks_per_episode", "rate_hz"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"--{name}={value}: it must be a number greater than 0")
        if not 0 <= self.epsilon <= 1:
            raise UserError(f"--epsilon={self.epsilon}: it must lie between 0 and 1")
        if self.delay is not None and self.inference_ms is not None:
            raise UserError("--delay and --inference_ms say the same: give one")
        if self.policy == "checkpoint" and self.checkpoint is None:
            raise UserError("say what to evaluate: --checkpoint=RUN, or --policy=random or noop")
        if self.policy != "checkpoint" and self.checkpoint is not None:
            raise UserError(f"--policy={self.policy} needs no checkpoint: leave one of the two out")
        if self.policy != "checkpoint" and self.environments is None:
            raise UserError("say where to play: --environments=atari/Boxing")
        keywords(self.environment_kwargs)
        self.seed_list()

    def seed_list(self) -> list[int]:
        """Raises UserError if it is no list of different whole numbers from 0 on."""
        parts = self.seeds.split(",")
        if not all(part.strip().isdecimal() for part in parts) or len(set(map(int, parts))) < len(parts):
            raise UserError(f"--seeds={self.seeds}: give different whole numbers, e.g. 0,1,2")
        return [int(part) for part in parts]

    def environment_list(self, of_checkpoint: str | None) -> list[str]:
        """Names, each once. Args: of_checkpoint: where the checkpoint learned."""
        names = [of_checkpoint] if self.environments is None else self.environments.split(",")
        return list(dict.fromkeys(name.strip() for name in names))

    def delay_ticks(self, rate_hz: float) -> int:
        """⌈τ_θ/τ_M⌉, at least 1: an answer within a tick acts in the next one."""
        if self.inference_ms is None:
            return self.delay or 1
        return max(1, math.ceil(self.inference_ms * rate_hz / 1e3 - ROUNDING))

    def schedule(self, spec: Spec) -> Schedule:
        """Which decision acts when, in an environment of that rate."""
        if self.policy == "noop":
            return NEVER
        make = {"async": asynchronous, "sequential": sequential}[self.inaction]
        return make(self.delay_ticks(spec.rate_hz), self.action_every)

    def as_dict(self) -> dict:
        return {item.name: getattr(self, item.name) for item in fields(self)}
