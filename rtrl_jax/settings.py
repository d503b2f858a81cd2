"""The settings of a run: the one list from which launch/run.py makes its flags and `rtrl_jax.run` its keywords.

A setting's comment is its help text. Only the launcher and the drivers see this class; everything below them takes the
few plain values it needs.
"""

import os
import re
import typing
from dataclasses import dataclass, field, fields

from rtrl_jax import latency
from rtrl_jax.errors import UserError
from rtrl_jax.page import door

LEAST_CAPACITY = 4096
LONGEST_PLAYOUT = 8192
MOST_CORES = 4096
MOST_WORKERS = 4096
MOST_LEARNERS = 256
MOST_TICKS = 10**9
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

    clock: str = _setting(
        "wall",
        "virtual: one process on a simulated clock, in which computations take the times stated below",
        ("wall", "virtual"),
    )
    inference_latency_ms: str | None = _setting(
        None,
        f"virtual clock: what an inference takes; default 0. {latency.VIRTUAL_FORMS}",
    )
    learning_latency_ms: str | None = _setting(None, "virtual clock: what an update takes; default 0. The same forms")
    learning_schedule: str | None = _setting(
        None,
        "virtual clock: asynchronous, learners that take their time, or every:N, an update in every N ticks that takes "
        "none; default asynchronous, with --delay every:<--learn_every>",
    )
    delay: int | None = _setting(
        None, "the short way to the virtual clock: decisions act exactly so many ticks after their observation"
    )
    accounting: str = _setting(
        "ours",
        "reference: the sequential agent of a given --delay as the paper's code simulates it, for comparison",
        ("ours", "reference"),
    )

    network: str = _setting(
        "auto", "auto is resnet15 for images, mlp for vectors", ("auto", "resnet15", "resnet30", "nature", "mlp")
    )
    width: float | None = _setting(None, "the paper's k; default 1")
    fast: bool = _setting(True, "ResNets convolve by faster formulas (Winograd's, sums of shifts); false: plain Flax")
    inference_dtype: str = _setting(
        "float32",
        "bfloat16: Winograd convolutions multiply shorter numbers when acting: faster in wide networks, less exact",
        ("float32", "bfloat16"),
    )
    device: str = _setting("cpu", "where networks run: cpu, gpu or gpu:1, on which workers take turns")
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

    policy: str = _setting("agent", "random and noop are baselines that learn nothing", ("agent", "random", "noop"))
    agent: str = _setting("dqn", "what is learned; rainbow switches all the parts below on", ("dqn", "rainbow"))
    double_q: bool | None = _setting(None, "the online network chooses the action that the target network values")
    prioritised: bool | None = _setting(None, "transitions of large error are drawn more often")
    dueling: bool | None = _setting(None, "separate heads for value and advantages")
    noisy: bool | None = _setting(None, "noise in the head's weights explores, in place of ε")
    categorical: bool | None = _setting(None, "the distribution of returns is learned, not its mean")
    n_steps: int | None = _setting(None, "decisions from a transition's action to its bootstrap; 1, in rainbow 3")
    atoms: int = _setting(51, "categorical: values the distribution has")
    value_min: float = _setting(0.0, "categorical: the least of them")
    value_max: float = _setting(200.0, "categorical: the largest of them")
    priority_exponent: float = _setting(0.2, "prioritised: 0 draws uniformly, 1 in proportion to the error")
    importance_exponent: float = _setting(0.6, "prioritised: how far importance weights correct for it, 1 is fully")

    learner_workers: str = _setting(
        "1", "a number, 0 to switch learning off, or auto: measure the update and take N_L*"
    )
    learning: str = _setting(
        "round_robin",
        "parallel: one learner, with batches --learner_workers times as large, as many times less often",
        ("round_robin", "parallel"),
    )
    learn_every: int = _setting(4, "ticks for each update; 0 switches learning off")
    learn_start: int = _setting(1000, "transitions before the first update")
    demonstrations: str | None = _setting(None, "a file of demonstrations to learn from first")
    pretrain_steps: int = _setting(16_000, "updates on the demonstrations before the run")
    batch_size: int = _setting(16, "transitions in an update")
    learning_rate: float | None = _setting(None, "Adam's; default: the paper's for this kind of game and agent")
    gamma: float = _setting(0.99, "discount")
    discount_per: str = _setting("decision", "what the discount is counted by", ("decision", "tick"))
    gradient_clip: float = _setting(10.0, "largest norm of a gradient")
    target_every: int = _setting(10_000, "updates between two copies to the target network")
    epsilon_start: float | None = _setting(
        None, "probability of a random action before the first update; default 1, with --noisy 0"
    )
    epsilon_end: float | None = _setting(
        None, "and after --epsilon_steps updates, or throughout if nothing is learned; default 0.05, with --noisy 0"
    )
    epsilon_steps: int = _setting(100_000, "updates over which it falls")
    replay_capacity: int | None = _setting(
        None, "observations kept, one a tick; default: all of the run, up to 1,000,000 and a quarter of memory"
    )
    checkpoint_every_s: float = _setting(
        300.0, "seconds of real time, on either clock, between two checkpoints, and one at the end; 0 for none"
    )
    checkpoint_keep: int = _setting(3, "checkpoints kept, the newest ones")
    checkpoint_replay: bool = _setting(True, "whether what the agent has seen is saved too")

    cores: str | None = _setting(None, "processor cores to use, e.g. 0,1 or 0-3; default: all that are allowed")
    seed: int = _setting(0, "of everything random")
    duration_s: float | None = _setting(None, "end after so many seconds; default 60 if nothing else ends the run")
    max_ticks: int | None = _setting(None, "end after so many ticks")
    max_episodes: int | None = _setting(None, "end after so many episodes")
    run_dir: str | None = _setting(None, "folder for the results, new or empty; default runs/<time>-<environment>")
    trace_seconds: float = _setting(
        30.0, "how much of the run's beginning, and of its end, goes into trace.json.gz (ui.perfetto.dev); 0 for none"
    )
    video: str | None = _setting(None, "film the game into this new .mp4 file, in real time, with the action in force")
    page: int | None = _setting(
        None, "serve a page that shows the run live on this port of 127.0.0.1, e.g. 8000; 0 takes any that is free"
    )
    page_host: str = _setting(
        "127.0.0.1", "address to serve it on, e.g. 0.0.0.0 for all of them; beyond this machine it asks for a token"
    )
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
        self._check_virtual()
        if self.emulated_inference_ms is not None:
            latency.parse(str(self.emulated_inference_ms))
        self.core_list()

    def _check_ranges(self) -> None:
        positive = (
            "rate_hz width frame_stack workers_per_process delay learn_start batch_size learning_rate "
            "gradient_clip target_every tau_initial_ms duration_s max_ticks max_episodes hang_timeout_s n_steps "
            "checkpoint_keep"
        )
        for name in positive.split():
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(f"--{name}={value}: it must be a number greater than 0")
        between = "gamma epsilon_start epsilon_end stagger_quantile priority_exponent importance_exponent"
        for name in between.split():
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise UserError(f"--{name}={getattr(self, name)}: it must lie between 0 and 1")
        if self.replay_capacity is not None and self.replay_capacity < LEAST_CAPACITY:
            raise UserError(f"--replay_capacity={self.replay_capacity}: the least is {LEAST_CAPACITY}")
        if str(self.learner_workers) not in ("auto", "0") and not _is_count(self.learner_workers):
            raise UserError(f"--learner_workers={self.learner_workers}: a number from 0 on, or auto")
        if _is_count(self.learner_workers) and int(self.learner_workers) > MOST_LEARNERS:
            raise UserError(f"--learner_workers={self.learner_workers}: the most is {MOST_LEARNERS}")
        if self.atoms < 2:
            raise UserError(f"--atoms={self.atoms}: a distribution has at least 2")
        if not -float("inf") < self.value_min < self.value_max < float("inf"):
            raise UserError(f"--value_min={self.value_min:g} must be less than --value_max={self.value_max:g}")
        if not 0 <= self.checkpoint_every_s < float("inf"):
            raise UserError(f"--checkpoint_every_s={self.checkpoint_every_s}: a number of seconds, or 0 for none")
        if not 0 <= self.trace_seconds < float("inf"):
            raise UserError(f"--trace_seconds={self.trace_seconds}: a number of seconds, or 0 for none")
        for name in ("epsilon_steps", "seed", "pretrain_steps", "learn_every"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}={getattr(self, name)}: it cannot be negative")
        if self.learn_every > MOST_TICKS:
            raise UserError(f"--learn_every={self.learn_every}: the most is {MOST_TICKS}")
        if self.page is not None:
            door.check_port(self.page)
        if self.rate_hz is not None and self.rate_hz > FASTEST_HZ:
            raise UserError(f"--rate_hz={self.rate_hz:g}: the most is {FASTEST_HZ}")
        if _is_count(self.inference_workers) and int(self.inference_workers) > MOST_WORKERS:
            raise UserError(f"--inference_workers={self.inference_workers}: the most is {MOST_WORKERS}")
        if self.replay_capacity is not None and self.learns and self.learn_start > self.replay_capacity // 2:
            raise UserError(
                f"--learn_start={self.learn_start}: at most half of --replay_capacity={self.replay_capacity}"
            )
        if str(self.inference_workers) != "auto" and not _is_count(self.inference_workers):
            raise UserError(f"--inference_workers={self.inference_workers}: a number from 1 on, or auto")
        if str(self.playout) not in ("auto", "off") and not _is_count(self.playout):
            raise UserError(f"--playout={self.playout}: a number of ticks from 1 on, auto, or off")
        most = (self.replay_capacity or 2 * LONGEST_PLAYOUT) // 2
        if _is_count(self.playout) and int(self.playout) > most:
            raise UserError(f"--playout={self.playout}: at most {most} ticks, half of --replay_capacity")

    def _check_contradictions(self) -> None:
        sequential = self.interaction != "async"
        wrong = [
            (self.width is not None and self.parameters is not None, "--width and --parameters say the same: give one"),
            (
                sequential and str(self.inference_workers) not in ("1", "auto"),
                f"--interaction={self.interaction} has one agent process: leave --inference_workers at 1",
            ),
            (
                self.demonstrations is not None and not self.learns,
                "--demonstrations are for a learner: leave --learner_workers at 1, --learn_every and --policy as they were",
            ),
            (
                sequential and str(self.learner_workers) not in ("0", "1"),
                f"--interaction={self.interaction} has one agent process, which learns: leave --learner_workers at 1",
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
            (
                self.inference_dtype != "float32" and (self.device != "cpu" or not self.fast),
                f"--inference_dtype={self.inference_dtype} belongs to --fast on --device=cpu",
            ),
            (
                self.page is not None and self.display == "none" and not door.is_loopback(self.page_host),
                "--display=none would not say the token that --page_host asks for: leave it out",
            ),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise UserError(message)

    @property
    def learns(self) -> bool:
        return str(self.learner_workers) != "0" and self.learn_every > 0 and self.policy == "agent"

    @property
    def is_virtual(self) -> bool:
        return self.clock == "virtual" or self.delay is not None

    def _check_virtual(self) -> None:
        for name in ("inference_latency_ms", "learning_latency_ms"):
            if getattr(self, name) is not None:
                latency.check_virtual(str(getattr(self, name)), name)
        if self.learning_schedule is not None and not re.fullmatch(
            r"asynchronous|every:[1-9]\d{0,8}", self.learning_schedule
        ):
            raise UserError(f"--learning_schedule={self.learning_schedule}: asynchronous, or every:N with N from 1 on")
        if self.delay is not None and self.delay > MOST_WORKERS:
            raise UserError(f"--delay={self.delay}: the most is {MOST_WORKERS}")
        if self.accounting == "reference" and (self.delay is None or self.interaction == "async"):
            raise UserError("--accounting=reference is of sequential agents: give --interaction=sequential and --delay")
        if self.is_virtual and self.emulated_inference_ms is not None:
            raise UserError("--emulated_inference_ms is for the wall clock: use --inference_latency_ms")
        if self.is_virtual and self.video is not None:
            raise UserError("--video films the wall clock: leave out --clock=virtual or --delay")
        if self.is_virtual and self.page is not None:
            raise UserError("--page shows the wall clock: leave out --clock=virtual or --delay")
        if not self.is_virtual:
            for name in ("inference_latency_ms", "learning_latency_ms", "learning_schedule"):
                if getattr(self, name) is not None:
                    raise UserError(f"--{name} belongs to --clock=virtual")

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


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def plain_type(annotation) -> type:
    """int | None -> int."""
    return next((part for part in typing.get_args(annotation) if part is not type(None)), annotation)


def _has_type(value, annotation) -> bool:
    accepted = {str: str | int | float, int: int, float: int | float, bool: bool}[plain_type(annotation)]
    if isinstance(value, bool) and accepted is not bool:  # which Python takes for a number
        return False
    return (value is None and annotation != plain_type(annotation)) or isinstance(value, accepted)


def _is_count(value) -> bool:
    return str(value).isdecimal() and int(value) > 0


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}-{numbers[-1]}" if numbers == list(range(numbers[0], numbers[-1] + 1)) else str(numbers)[1:-1]


ONCE = ("run_dir", "video", "page", "page_host")  # of this run alone: another one makes, or is shown, elsewhere


def as_flagfile(settings: Settings) -> str:
    """Every setting as a line of a flagfile that repeats the run (into a new folder)."""
    lines = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        line = f"--{item.name}={'' if value is None else value}"
        lines.append(f"# {line}" if value is None or item.name in ONCE else line)
    return "\n".join(lines) + "\n"
