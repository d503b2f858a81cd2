"""The settings of a run: the one list from which launch/run.py makes its flags and `rtrl_jax.run` its keywords.

A setting's comment is its help text. Only the launcher and the drivers see this class; everything below them takes the
few plain values it needs.
"""

import os
import typing
from dataclasses import dataclass, field, fields

from rtrl_jax import latency
from rtrl_jax.errors import UserError

LEAST_CAPACITY = 4096
MOST_CORES = 4096
MOST_WORKERS = 4096
FASTEST_HZ = 100_000


def _setting(default, help_text: str, choices: tuple[str, ...] | None = None):
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    environment: str = _setting("atari/Boxing", "what to play: atari/<Game>, toy/<name> or gymnasium/<id>")
    rate_hz: float | None = _setting(None, "ticks a second; default: the environment's own rate")
    default_action: str = _setting("noop", "what acts while no decision is ready", ("noop", "repeat"))
    default_action_index: int | None = _setting(None, "which action the no-op is; default: the environment's own (0)")
    frame_stack: int = _setting(1, "observations the network sees at once")

    network: str = _setting(
        "auto", "auto is resnet15 for images, mlp for vectors", ("auto", "resnet15", "resnet30", "nature", "mlp")
    )
    width: float | None = _setting(None, "the paper's k; default 1")
    parameters: str | None = _setting(None, "size in place of --width, e.g. 55K, 1M, 10M, 100M, 1B")

    interaction: str = _setting(
        "async", "whether inference and learning block each other", ("async", "sequential", "sequential_learn_first")
    )
    inference_workers: str = _setting("1", "a number, or auto: measure the inference time and take N*")
    stagger: str = _setting(
        "ticket", "how inference is kept evenly spaced", ("ticket", "max_time", "expected_time", "none")
    )
    playout: str = _setting("auto", "ticket: delay in ticks at which decisions act, auto, or off")
    stagger_quantile: float = _setting(
        0.0, "max_time: 0 is the paper's maximum, else a quantile of recent times (0.99)"
    )
    tau_initial_ms: float | None = _setting(None, "max_time: start from this estimate with the phases laid out")
    emulated_inference_ms: str | None = _setting(None, f"make inference take this long: {latency.FORMS}")
    workers_per_process: int = _setting(1, "emulated workers that share a process")

    learner_workers: int = _setting(1, "0 switches learning off")
    learn_every: int = _setting(4, "ticks for each update")
    learn_start: int = _setting(1000, "transitions before the first update")
    demonstrations: str | None = _setting(None, "a file of demonstrations to learn from first")
    pretrain_steps: int = _setting(16_000, "updates on the demonstrations before the run")
    batch_size: int = _setting(16, "transitions in an update")
    learning_rate: float | None = _setting(None, "Adam's; default: the paper's for this kind of game")
    gamma: float = _setting(0.99, "discount")
    discount_per: str = _setting("decision", "what the discount is counted by", ("decision", "tick"))
    gradient_clip: float = _setting(10.0, "largest norm of a gradient")
    target_every: int = _setting(10_000, "updates between two copies to the target network")
    epsilon_start: float = _setting(1.0, "probability of a random action before the first update")
    epsilon_end: float = _setting(0.05, "and after --epsilon_steps updates, or throughout if nothing is learned")
    epsilon_steps: int = _setting(100_000, "updates over which it falls")
    replay_capacity: int = _setting(50_000, "observations kept, in ticks")

    cores: str | None = _setting(None, "processor cores to use, e.g. 0,1 or 0-3; default: all that are allowed")
    seed: int = _setting(0, "of everything random")
    duration_s: float | None = _setting(None, "end after so many seconds; default 60 if nothing else ends the run")
    max_ticks: int | None = _setting(None, "end after so many ticks")
    max_episodes: int | None = _setting(None, "end after so many episodes")
    run_dir: str | None = _setting(None, "folder for the results, new or empty; default runs/<time>-<environment>")
    display: str = _setting(
        "auto", "auto draws on a terminal and prints lines elsewhere; none prints nothing at all", ("auto", "none")
    )
    hang_timeout_s: float = _setting(10.0, "a worker without a sign of life for so long is replaced")

    def check(self) -> None:
        """Raises UserError if a value is out of range, contradicts another, or asks for what this machine lacks."""
        for item in fields(self):
            value = getattr(self, item.name)
            choices = item.metadata["choices"]
            if not _has_type(value, item.type):
                raise UserError(f"--{item.name}={value!r}: it should be {_TYPE_NAMES[plain_type(item.type)]}")
            if choices and value not in choices:
                raise UserError(f"--{item.name}={value}: choose one of {', '.join(choices)}")
        self._check_ranges()
        self._check_contradictions()
        if self.emulated_inference_ms is not None:
            latency.parse(str(self.emulated_inference_ms))
        self.core_list()

    def _check_ranges(self) -> None:
        positive = (
            "rate_hz width frame_stack workers_per_process learn_every learn_start batch_size learning_rate "
            "gradient_clip target_every tau_initial_ms duration_s max_ticks max_episodes hang_timeout_s"
        )
        for name in positive.split():
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{name}={value}: it must be a number greater than 0")
        for name in ("gamma", "epsilon_start", "epsilon_end", "stagger_quantile"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"--{name}={getattr(self, name)}: it must lie between 0 and 1")
        if self.replay_capacity < LEAST_CAPACITY:
            raise UserError(f"--replay_capacity={self.replay_capacity}: the least is {LEAST_CAPACITY}")
        if self.learner_workers not in (0, 1):
            raise UserError(f"--learner_workers={self.learner_workers}: 0 or 1 (more learners are not built yet)")
        for name in ("epsilon_steps", "seed", "pretrain_steps"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}={getattr(self, name)}: it cannot be negative")
        if self.rate_hz is not None and self.rate_hz > FASTEST_HZ:
            raise UserError(f"--rate_hz={self.rate_hz:g}: the most is {FASTEST_HZ}")
        if _is_count(self.inference_workers) and int(self.inference_workers) > MOST_WORKERS:
            raise UserError(f"--inference_workers={self.inference_workers}: the most is {MOST_WORKERS}")
        if self.learner_workers and self.learn_start > self.replay_capacity // 2:
            raise UserError(
                f"--learn_start={self.learn_start}: at most half of --replay_capacity={self.replay_capacity}"
            )
        if str(self.inference_workers) != "auto" and not _is_count(self.inference_workers):
            raise UserError(f"--inference_workers={self.inference_workers}: a number from 1 on, or auto")
        if str(self.playout) not in ("auto", "off") and not _is_count(self.playout):
            raise UserError(f"--playout={self.playout}: a number of ticks from 1 on, auto, or off")
        if _is_count(self.playout) and int(self.playout) > self.replay_capacity // 2:
            raise UserError(f"--playout={self.playout}: at most half of --replay_capacity={self.replay_capacity}")

    def _check_contradictions(self) -> None:
        sequential = self.interaction != "async"
        wrong = [
            (self.width is not None and self.parameters is not None, "--width and --parameters say the same: give one"),
            (
                sequential and str(self.inference_workers) not in ("1", "auto"),
                f"--interaction={self.interaction} has one agent process: leave --inference_workers at 1",
            ),
            (
                self.demonstrations is not None and not self.learner_workers,
                "--demonstrations are for a learner: leave --learner_workers at 1",
            ),
            (
                sequential and self.workers_per_process > 1,
                f"--interaction={self.interaction} has one agent process: leave --workers_per_process at 1",
            ),
            (
                self.stagger != "ticket" and str(self.playout) != "auto",
                f"--playout belongs to --stagger=ticket, not {self.stagger}",
            ),
            (
                self.stagger != "max_time" and self.stagger_quantile > 0,
                f"--stagger_quantile belongs to --stagger=max_time, not {self.stagger}",
            ),
            (
                self.stagger != "max_time" and self.tau_initial_ms is not None,
                f"--tau_initial_ms belongs to --stagger=max_time, not {self.stagger}",
            ),
            (
                self.workers_per_process > 1 and self.emulated_inference_ms is None,
                "--workers_per_process is for workers that mostly sleep: give --emulated_inference_ms as well",
            ),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise UserError(message)

    def core_list(self) -> list[int]:
        """The cores to use, in order. Raises UserError if this process may not run on one of them."""
        allowed = sorted(os.sched_getaffinity(0))
        if self.cores is None:
            return allowed
        try:
            chosen = []
            for part in str(self.cores).split(","):
                first, dash, last = part.partition("-")
                numbers = range(int(first), int(last if dash else first) + 1)
                if not numbers:
                    raise ValueError
                chosen += numbers[: MOST_CORES + 1]
        except ValueError:
            raise UserError(f"--cores={self.cores}: give numbers and ranges, e.g. 0,1 or 0-3") from None
        missing = [core for core in chosen if core not in allowed]
        if missing:
            raise UserError(f"--cores={self.cores}: there is no core {missing[0]} here; there are {_ranges(allowed)}")
        return list(dict.fromkeys(chosen))


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number"}


def plain_type(annotation) -> type:
    """int | None -> int."""
    return next((part for part in typing.get_args(annotation) if part is not type(None)), annotation)


def _has_type(value, annotation) -> bool:
    accepted = {str: str | int | float, int: int, float: int | float}[plain_type(annotation)]
    return (value is None and annotation != plain_type(annotation)) or isinstance(value, accepted)


def _is_count(value) -> bool:
    return str(value).isdecimal() and int(value) > 0


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}-{numbers[-1]}" if numbers == list(range(numbers[0], numbers[-1] + 1)) else str(numbers)[1:-1]


def as_flagfile(settings: Settings) -> str:
    """Every setting as a line of a flagfile that repeats the run (into a new folder)."""
    lines = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        line = f"--{item.name}={'' if value is None else value}"
        lines.append(f"# {line}" if value is None or item.name == "run_dir" else line)
    return "\n".join(lines) + "\n"
