"""The settings of a run: the one list from which launch/run.py makes its flags and `rtrl_jax.run` its keywords.

A setting's text is its help. The loops do not see this class: they take the few plain values they need. What a text stands
for is said by the properties: nobody else parses one.
"""

import json
import os
import re
from dataclasses import dataclass, fields

from rtrl_jax import addresses, latency, stagger, topology
from rtrl_jax.board.ring import Stacking
from rtrl_jax.errors import UserError
from rtrl_jax.pending import ENCODINGS, KINDS
from rtrl_jax.settings_fields import Condition, NumberOr, check, facts, json_object, setting, when
from rtrl_jax.stagger import Cadence

LEAST_CAPACITY = 4096
LONGEST_PLAYOUT = 8192
MOST_CORES = 4096
MOST_WORKERS = 4096
MOST_LEARNERS = 256
MOST_TICKS = 10**9
MOST_COUNTED = 10**12  # ticks, updates, episodes in all
MOST_SECONDS = 10**9
FASTEST_HZ = 100_000
WIDEST = 1000  # the paper's k; its largest network has 98
LARGEST_BATCH = 65_536
MOST_STACKED = 256
MOST_NOOPS = 10_000
MOST_SKIPPED = 1000
MOST_TOLD = 1000
MOST_HELD = 1000  # ticks
TOLD = 16  # actions, where the delay is not known beforehand

# What the paper's released code does otherwise, each to be had alone; docs/semantics.md says what each is.
DEPARTURES = ("period", "lag", "zero_frames", "next_obs", "units", "bootstrap")

TICKETS, MAX_TIME = when("stagger", "ticket"), when("stagger", "max_time")
VIRTUAL = Condition("--clock=virtual", lambda settings: settings.is_virtual)
WALL = Condition("the wall clock", lambda settings: not settings.is_virtual, "leave out --clock=virtual and --delay")
EMULATED = Condition("--emulated_inference_ms", lambda settings: settings.emulated_inference_ms is not None)
CATEGORICAL = Condition("--categorical", lambda settings: settings.has("categorical"))
PRIORITISED = Condition("--prioritised", lambda settings: settings.has("prioritised"))
SEVERAL_STEPS = Condition(
    "--n_steps of at least 2, or rainbow's 3",
    lambda settings: (settings.n_steps or (3 if settings.agent == "rainbow" else 1)) > 1,
)
FAST = Condition("--fast on --device=cpu", lambda settings: settings.fast and settings.device == "cpu")
LEARNER = Condition(
    "a learner",
    lambda settings: settings.learns,
    "leave --learner_workers at 1, --learn_every and --policy as they were",
)
PENDING = Condition("--pending=history or late", lambda settings: settings.pending != "none")
DELAYED = Condition("--delay", lambda settings: settings.delay is not None)


def _latency(text, flag: str) -> None:
    latency.parse(str(text), flag)


def _virtual_latency(text, flag: str) -> None:
    latency.check_virtual(str(text), flag)


def _schedule(text, flag: str) -> None:
    if not re.fullmatch(r"asynchronous|every:[1-9]\d{0,8}", str(text)):
        raise UserError(f"--{flag}={text}: asynchronous, or every:N with N from 1 on")


def _departures(text, flag: str) -> frozenset[str]:
    """Of the paper's released code from what this one does."""
    named = {"ours": (), "reference": DEPARTURES}.get(str(text), str(text).split(","))
    if unknown := [name for name in named if name not in DEPARTURES]:
        raise UserError(f"--{flag}={text}: there is no {unknown[0]!r}; give {_departures.range}")
    return frozenset(named)


_departures.range = f"ours, reference, or some of {','.join(DEPARTURES)}"


def _cores(text, flag: str) -> list[int]:
    allowed = sorted(os.sched_getaffinity(0))
    try:
        chosen: list[int] = []
        for part in str(text).split(","):
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last if dash else first) + 1)
            if not numbers:
                raise ValueError
            chosen += numbers[: MOST_CORES + 1]
    except ValueError:
        raise UserError(f"--{flag}={text}: give numbers and ranges, e.g. 0,1 or 0-3") from None
    missing = [core for core in chosen if core not in allowed]
    if missing:
        raise UserError(f"--{flag}={text}: there is no core {missing[0]} here; there are {_ranges(allowed)}")
    return list(dict.fromkeys(chosen))


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}-{numbers[-1]}" if numbers == list(range(numbers[0], numbers[-1] + 1)) else str(numbers)[1:-1]


_WORKERS = NumberOr({"auto": None}, 1, MOST_WORKERS)
_LEARNERS = NumberOr({"auto": None}, 0, MOST_LEARNERS)
_PLAYOUT = NumberOr({"auto": None, "off": 0}, 1, MOST_TICKS)


@dataclass(frozen=True)
class Settings:
    environment: str = setting(
        "atari/Boxing",
        "what to play: gameboy/<game>, pokemon-<colour>/<setting>, atari/<Game>, gymnasium/<id> or toy/<name>",
        group="Environment",
    )
    environment_kwargs: str | None = setting(
        None, 'what the environment is made with, as a JSON object, e.g. {"continuous": false}', parse=json_object
    )
    rate_hz: float | None = setting(
        None, "ticks a second; default: the environment's own rate", between=(0.001, FASTEST_HZ)
    )
    default_action: str = setting("noop", "what acts while no decision is ready", ("noop", "repeat"))
    default_action_index: int | None = setting(
        None, "which action the no-op is; default: the environment's own (0)", at_least=0
    )
    frame_stack: int = setting(1, "observations the network sees at once", between=(1, MOST_STACKED))
    frame_stack_stride: int = setting(1, "ticks from one of them to the next", between=(1, MOST_STACKED))
    sticky_actions: float = setting(
        0.0,
        "probability that a frame repeats what was done in the last one, 0.25 in Machado et al. 2018",
        between=(0, 1),
    )
    noop_starts: int = setting(
        0,
        "an episode begins after 1 to so many frames of the default action, 30 in Mnih et al. 2015",
        between=(0, MOST_NOOPS),
    )
    frame_skip: int = setting(
        1,
        "frames of the game in a tick, which hold its action; its own rate is divided by it",
        between=(1, MOST_SKIPPED),
    )
    press_frames: int | None = setting(
        None,
        "of a tick's frames, how many hold its action before the default action takes its place: each tick presses anew; "
        "default: all",
        between=(1, MOST_SKIPPED),
    )

    interaction: str = setting(
        "async",
        "whether inference and learning block each other",
        ("async", "sequential", "sequential_learn_first"),
        group="Interaction and staggering",
    )
    action_hold: int = setting(
        1,
        "ticks that a decision acts for, unless another comes; tickets and sequential agents begin the next one so much later",
        between=(1, MOST_HELD),
    )
    inference_workers: str = setting("1", "a number, or auto: measure the inference time and take N*", parse=_WORKERS)
    stagger: str = setting("ticket", "how inference is kept evenly spaced", stagger.NAMES)
    playout: str = setting(
        "auto", "ticket: delay in ticks at which decisions act, auto, or off", parse=_PLAYOUT, belongs_to=TICKETS
    )
    stagger_quantile: float = setting(
        0.0,
        "max_time: 0 is the paper's maximum, else a quantile of recent times (0.99)",
        between=(0, 1),
        belongs_to=MAX_TIME,
    )
    tau_initial_ms: float | None = setting(
        None,
        "max_time: start from this estimate with the phases laid out",
        above=0,
        at_most=latency.LONGEST_MS,
        belongs_to=MAX_TIME,
    )
    emulated_inference_ms: str | None = setting(
        None,
        f"make inference take this long: {latency.FORMS}",
        parse=_latency,
        belongs_to=WALL._replace(hint="use --inference_latency_ms"),
    )
    workers_per_process: int = setting(
        1,
        "emulated workers that share a process",
        between=(1, MOST_WORKERS),
        belongs_to=EMULATED._replace(hint="they are workers that mostly sleep"),
    )

    network: str = setting(
        "auto",
        "auto is resnet15 for images, mlp for vectors",
        ("auto", "resnet15", "resnet30", "nature", "mlp"),
        group="Network",
    )
    width: float | None = setting(None, "the paper's k; default 1", above=0, at_most=WIDEST)
    parameters: str | None = setting(None, "size in place of --width, e.g. 55K, 1M, 10M, 100M, 1B")
    fast: bool = setting(True, "ResNets convolve by faster formulas (Winograd's, sums of shifts); false: plain Flax")
    inference_dtype: str = setting(
        "float32",
        "bfloat16: Winograd convolutions multiply shorter numbers when acting: faster in wide networks, less exact",
        ("float32", "bfloat16"),
        belongs_to=FAST,
    )
    plan: str | None = setting(
        None,
        "how each convolution is computed, as in the flags.txt of another run; default: as launch/plan.py --layers measured "
        "on this machine, else by rule",
        belongs_to=FAST,
    )
    input_scale: str = setting(
        "unit",
        "what a frame's bytes are to the network: unit, numbers from 0 to 1; byte, from 0 to 255",
        ("unit", "byte"),
    )
    initialisation: str = setting(
        "lecun",
        "first weights: lecun, normal with biases of zero; pytorch, its default, both uniform in ±1/√inputs",
        ("lecun", "pytorch"),
    )
    zero_head: bool = setting(False, "the last layer begins at zero, and so do all values (noise apart)")
    normalisation: str = setting(
        "none",
        "layer normalisation: features, of what the convolutions give; hidden, before each relu after them; layer, both",
        ("none", "features", "hidden", "layer"),
    )
    device: str = setting("cpu", "where networks run: cpu, gpu or gpu:1, on which workers take turns")

    policy: str = setting(
        "agent", "random and noop are baselines that learn nothing", ("agent", "random", "noop"), group="Agent"
    )
    agent: str = setting("dqn", "what is learned; rainbow switches all the parts below on", ("dqn", "rainbow"))
    double_q: bool | None = setting(None, "the online network chooses the action that the target network values")
    prioritised: bool | None = setting(None, "transitions of large error are drawn more often")
    dueling: bool | None = setting(None, "separate heads for value and advantages")
    noisy: bool | None = setting(None, "noise in the head's weights explores, in place of ε")
    shared_layer: bool | None = setting(
        None, "a dense layer of 512 before those that value and advantages have for themselves"
    )
    categorical: bool | None = setting(None, "the distribution of returns is learned, not its mean")
    n_steps: int | None = setting(
        None, "decisions from a transition's action to its bootstrap; 1, in rainbow 3", between=(1, 1000)
    )
    one_step_loss: bool = setting(
        False, "the loss over one decision is added to that over n, as in the paper's code", belongs_to=SEVERAL_STEPS
    )
    atoms: int = setting(51, "categorical: values the distribution has", between=(2, 1000), belongs_to=CATEGORICAL)
    value_min: float = setting(0.0, "categorical: the least of them", belongs_to=CATEGORICAL)
    value_max: float = setting(200.0, "categorical: the largest of them", belongs_to=CATEGORICAL)
    priority_exponent: float = setting(
        0.2,
        "prioritised: 0 draws uniformly, 1 in proportion to the error",
        between=(0, 1),
        belongs_to=PRIORITISED,
    )
    importance_exponent: float = setting(
        0.6,
        "prioritised: how far importance weights correct for it, 1 is fully",
        between=(0, 1),
        belongs_to=PRIORITISED,
    )

    pending: str = setting(
        "none",
        "which of its own actions the agent is told. late: those that will have acted between observation and decision, told to "
        "the network's head just before the decision acts; history: those up to the observation",
        KINDS,
    )
    pending_length: int | None = setting(
        None,
        f"how many of them at most, the newest; default: one less than the delay if --delay or --playout states it, else {TOLD}",
        between=(1, MOST_TOLD),
        belongs_to=PENDING,
    )
    pending_encoding: str = setting(
        "onehot",
        "how it reads them: onehot, each action at each age; counts, how often each occurs; recurrent, a small GRU over them",
        ENCODINGS,
        belongs_to=PENDING,
    )

    learner_workers: str = setting(
        "1",
        "a number, 0 to switch learning off, or auto: measure the update and take N_L*",
        group="Learning",
        parse=_LEARNERS,
    )
    learning: str = setting(
        "round_robin",
        "parallel: one learner, with batches --learner_workers times as large, as many times less often",
        ("round_robin", "parallel"),
    )
    learn_every: int = setting(
        4, "ticks, or decisions, for each update; 0 switches learning off", between=(0, MOST_TICKS)
    )
    learn_per: str | None = setting(
        None,
        "what --learn_every counts: ticks, or decisions that acted, which the paper counts; for an agent that acts at every "
        "tick both are the same; default tick, with --accounting=reference decision",
        ("tick", "decision"),
    )
    learn_start: int = setting(1000, "transitions before the first update", between=(1, MOST_TICKS))
    batch_size: int = setting(16, "transitions in an update", between=(1, LARGEST_BATCH))
    learning_rate: float | None = setting(None, "Adam's; default: the paper's for this kind of game and agent", above=0)
    learning_rate_warmup: int = setting(
        0, "updates over which the learning rate rises from 0", between=(0, MOST_COUNTED)
    )
    adam_epsilon: float = setting(
        1e-8, "added to Adam's divisor: larger ones hold back weights of small gradients", above=0, at_most=1
    )
    gamma: float = setting(0.99, "discount", between=(0, 1))
    reward_clipping: str = setting(
        "none",
        "what the learner sees of a tick's reward: sign, or within one unit of 0; scores stay as they are",
        ("none", "sign", "unit"),
        belongs_to=LEARNER,
    )
    discount_per: str = setting("decision", "what the discount is counted by", ("decision", "tick"))
    gradient_clip: float = setting(10.0, "largest norm of a gradient", above=0)
    target_every: int = setting(10_000, "updates between two copies to the target network", between=(1, MOST_COUNTED))
    demonstrations: str | None = setting(None, "a file of demonstrations to learn from first", belongs_to=LEARNER)
    pretrain_steps: int = setting(16_000, "updates on the demonstrations before the run", between=(0, MOST_COUNTED))

    epsilon_start: float | None = setting(
        None,
        "probability of a random action at the beginning; default 1, with --noisy 0",
        group="Exploration",
        between=(0, 1),
    )
    epsilon_end: float | None = setting(
        None,
        "and after --epsilon_steps, or throughout if nothing is learned; default 0.05, with --noisy 0",
        between=(0, 1),
    )
    epsilon_steps: int = setting(100_000, "decisions, ticks or updates over which it falls", between=(0, MOST_COUNTED))
    epsilon_per: str = setting(
        "decision",
        "what --epsilon_steps counts: decisions that have acted, ticks, or updates of the network",
        ("decision", "tick", "update"),
    )
    explore_cost: str = setting(
        "none",
        "network: a random action takes the network's time, so that ε of what acts is random however workers are staggered; with "
        "--delay it always does",
        ("none", "network"),
    )

    replay_capacity: int | None = setting(
        None,
        "transitions kept, one for each decision that acts; default: all of the run, up to 1,000,000 and a quarter of memory",
        group="Replay and checkpoints",
        between=(LEAST_CAPACITY, MOST_COUNTED),
    )
    checkpoint_every_s: float = setting(
        300.0, "seconds between two checkpoints, and one at the end; 0 for none", between=(0, MOST_SECONDS)
    )
    checkpoint_keep: int = setting(3, "checkpoints kept, the newest ones", between=(1, 10**6))
    checkpoint_replay: bool = setting(True, "whether what the agent has seen is saved too")

    duration_s: float | None = setting(
        None,
        "end after so many seconds; default 60 if nothing else ends the run",
        group="The run",
        above=0,
        at_most=MOST_SECONDS,
    )
    max_ticks: int | None = setting(None, "end after so many ticks", between=(1, MOST_COUNTED))
    max_episodes: int | None = setting(None, "end after so many episodes", between=(1, MOST_COUNTED))
    run_dir: str | None = setting(
        None, "folder for the results, new or empty; default runs/<time>-<environment>", once=True
    )
    seed: int = setting(0, "of everything random", between=(0, 2**32 - 1))
    cores: str | None = setting(
        None, "processor cores to use, e.g. 0,1 or 0-3; default: all that are allowed", parse=_cores
    )
    hang_timeout_s: float = setting(
        10.0, "a worker without a sign of life for so long is replaced", above=0, at_most=MOST_SECONDS
    )

    display: str = setting(
        "auto",
        "auto draws on a terminal and prints lines elsewhere; none prints nothing at all",
        ("auto", "none"),
        group="Watching",
    )
    page: int | None = setting(
        None,
        "serve a page that shows the run live on this port of 127.0.0.1, e.g. 8000; 0 takes any that is free",
        between=(0, addresses.HIGHEST_PORT),
        belongs_to=WALL,
        once=True,
    )
    page_host: str = setting(
        "127.0.0.1",
        "address to serve it on, e.g. 0.0.0.0 for all of them; beyond this machine it asks for a token",
        once=True,
    )
    video: str | None = setting(
        None,
        "film the game into this new .mp4 file, in real time, with the action in force",
        belongs_to=WALL,
        once=True,
    )
    trace_seconds: float = setting(
        30.0,
        "how much of the run's beginning, and of its end, goes into trace.json.gz (ui.perfetto.dev); 0 for none",
        between=(0, MOST_SECONDS),
    )

    clock: str = setting(
        "wall",
        "virtual: one process on a simulated clock, in which computations take the times stated below",
        ("wall", "virtual"),
        group="Virtual time",
    )
    delay: int | None = setting(
        None,
        "the short way to the virtual clock: decisions act exactly so many ticks after their observation",
        between=(1, MOST_WORKERS),
    )
    inference_latency_ms: str | None = setting(
        None,
        f"what an inference takes, 0 unless stated: {latency.VIRTUAL_FORMS}",
        parse=_virtual_latency,
        belongs_to=VIRTUAL,
    )
    learning_latency_ms: str | None = setting(
        None,
        "what an update takes, 0 unless stated; the same forms",
        parse=_virtual_latency,
        belongs_to=VIRTUAL,
    )
    learning_schedule: str | None = setting(
        None,
        "asynchronous, learners that take their time, or every:N, an update in every N ticks (or decisions, as --learn_per "
        "says) that takes none; default "
        "asynchronous, with --delay every:<--learn_every>",
        parse=_schedule,
        belongs_to=VIRTUAL,
    )
    accounting: str = setting(
        "ours",
        "reference: as the paper's released code simulates a given --delay, for comparison; or only in some of what differs, "
        f"e.g. lag,next_obs of {','.join(DEPARTURES)}",
        parse=_departures,
        belongs_to=DELAYED,
    )

    def check(self) -> None:
        """Raises UserError if a value is out of range, contradicts another, or asks for what this machine lacks."""
        check(self)
        for is_wrong, message in self._contradictions():
            if is_wrong:
                raise UserError(message)

    def _contradictions(self) -> list[tuple[bool, str]]:
        """What the facts of one setting alone cannot say."""
        period = self.scheduled_period
        one_process = f"--interaction={self.interaction} has one agent process"
        return [
            (self.width is not None and self.parameters is not None, "--width and --parameters say the same: give one"),
            (
                self.frame_stack_stride > 1 and self.frame_stack == 1,
                f"--frame_stack_stride={self.frame_stack_stride} says how far apart observations are that are seen at once: "
                "give a --frame_stack of 2 or more",
            ),
            (
                (self.press_frames or 1) > self.frame_skip,
                f"--press_frames={self.press_frames}: a tick has no more frames than --frame_skip={self.frame_skip}",
            ),
            (
                self.frame_skip > 1 and self.demonstrations is not None,
                f"--frame_skip={self.frame_skip}: demonstrations have every frame, so leave one of the two out",
            ),
            (
                self.action_hold > 1 and self.demonstrations is not None,
                f"--action_hold={self.action_hold}: demonstrations have an action for every tick, so leave one of the two out",
            ),
            (
                self.value_min >= self.value_max,
                f"--value_min={self.value_min:g} must be less than --value_max={self.value_max:g}",
            ),
            (
                self.replay_capacity is not None and self.learns and self.learn_start > self.replay_capacity,
                f"--learn_start={self.learn_start}: at most --replay_capacity={self.replay_capacity}",
            ),
            (
                period is not None and self.learn_every not in (0, Settings.learn_every, period),
                f"--learning_schedule=every:{period} and --learn_every={self.learn_every} contradict each other: give one",
            ),
            (
                (self.playout_ticks or 0) > LONGEST_PLAYOUT,
                f"--playout={self.playout}: at most {LONGEST_PLAYOUT} ticks",
            ),
            (
                self.is_sequential and str(self.inference_workers) not in ("1", "auto"),
                f"{one_process}: leave --inference_workers at 1",
            ),
            (
                self.is_sequential and str(self.learner_workers) not in ("0", "1"),
                f"{one_process}, which learns: leave --learner_workers at 1",
            ),
            (
                self.is_sequential and self.workers_per_process > 1,
                f"{one_process}: leave --workers_per_process at 1",
            ),
            (
                "units" in self.departures and (self.learn_unit != "decision" or self.epsilon_unit != "decision"),
                f"--accounting={self.accounting} counts updates and ε by decisions: leave out --learn_per and --epsilon_per",
            ),
            (
                self.cadence is not None and (self.stagger, str(self.playout)) != ("ticket", "auto"),
                f"--accounting={self.accounting} says itself when decisions act: leave out --stagger and --playout",
            ),
            (
                self.cadence is not None and self.learns_first,
                f"--accounting={self.accounting} knows no order of inference and learning: give --interaction=sequential",
            ),
            (
                self.action_hold > 1 and bool(self.departures),
                f"--action_hold={self.action_hold}: the paper's code, --accounting={self.accounting}, decides for one tick: "
                "leave one of the two out",
            ),
            (
                self.pending != "none" and bool(self.departures),
                f"--pending={self.pending}: the paper's code, --accounting={self.accounting}, tells agents nothing: leave one of "
                "the two out",
            ),
            (
                self.pending != "none" and self.policy != "agent",
                f"--pending={self.pending} is of a network, which --policy={self.policy} has none of: leave it out",
            ),
            (
                self.learns_first and self.learns and self.learning_is_scheduled,
                f"--interaction={self.interaction} has no effect where updates are scheduled and take no time: "
                "give --learning_schedule=asynchronous and --learning_latency_ms, or --interaction=sequential",
            ),
            (
                self.page is not None and self.display == "none" and not addresses.is_loopback(self.page_host),
                "--display=none would not say the token that --page_host asks for: leave it out",
            ),
        ]

    @property
    def is_virtual(self) -> bool:
        """Whether the run is one on a simulated clock."""
        return self.clock == "virtual" or self.delay is not None

    @property
    def is_sequential(self) -> bool:
        """Whether one process infers and learns in turn, and so blocks itself."""
        return self.interaction != "async"

    @property
    def learns_first(self) -> bool:
        """Whether that process learns before it infers."""
        return self.interaction == "sequential_learn_first"

    @property
    def repeats_last_action(self) -> bool:
        """Whether the last action stays in force where β would act."""
        return self.default_action == "repeat"

    @property
    def stacking(self) -> Stacking:
        """What the network sees at once."""
        return Stacking(self.frame_stack, self.frame_stack_stride)

    @property
    def told(self) -> int:
        """Most actions that the agent is told; 0 if none."""
        if self.pending == "none":
            return 0
        delay = self.delay or self.playout_ticks
        return self.pending_length or (min(MOST_TOLD, max(1, delay - 1)) if delay else TOLD)

    @property
    def head_is_late(self) -> bool:
        """Whether the network's head runs by itself, just before a decision acts."""
        return self.pending == "late"

    @property
    def departures(self) -> frozenset[str]:
        """Which of `DEPARTURES` the run follows."""
        return _departures(self.accounting, "accounting")

    @property
    def cadence(self) -> Cadence | None:
        """When the agent acts, and on what, where it does so as the paper's released code; None if computations take their time.

        There a decision is made from the newest observation and acts in the next tick. The lag makes it one of `delay` decisions
        before: as the script puts the newest into a list of them and takes out the oldest.
        """
        if self.delay is None or not self.departures & {"period", "lag", "zero_frames"}:
            return None
        period = self.delay + ("period" in self.departures) if self.is_sequential else 1
        lag = self.delay * period + 1 if "lag" in self.departures else self.delay
        return Cadence(period, lag, "zero_frames" in self.departures)

    @property
    def learn_unit(self) -> str:
        """What --learn_every counts: "tick" or "decision"."""
        return self.learn_per or ("decision" if "units" in self.departures else "tick")

    @property
    def epsilon_unit(self) -> str:
        """What --epsilon_steps counts: "decision", "tick" or "update"."""
        return self.epsilon_per

    @property
    def epsilons(self) -> tuple[float, float]:
        """ε at the beginning and after --epsilon_steps. Without learning there are none: it stands where it would end."""
        noisy = self.has("noisy")
        end = self.epsilon_end if self.epsilon_end is not None else (0.0 if noisy else 0.05)
        start = self.epsilon_start if self.epsilon_start is not None else (0.0 if noisy else 1.0)
        return (start if self.learns else end), end

    @property
    def scheduled_period(self) -> int | None:
        """N of --learning_schedule=every:N, in what --learn_every counts; None if learners take their time."""
        schedule = self.learning_schedule or "asynchronous"
        return int(schedule.removeprefix("every:")) if schedule.startswith("every:") else None

    @property
    def learning_is_scheduled(self) -> bool:
        """Whether updates take no time: as --learning_schedule=every:N says, or --delay, which implies it."""
        return self.scheduled_period is not None or (self.delay is not None and self.learning_schedule is None)

    @property
    def exploring_takes_time(self) -> bool:
        """Whether a random action is charged the network's time."""
        return self.explore_cost == "network" or self.delay is not None

    @property
    def learns(self) -> bool:
        """Whether anything is learned."""
        return (
            self.learn_every > 0 and self.policy == "agent" and _LEARNERS(self.learner_workers, "learner_workers") != 0
        )

    @property
    def inference_worker_count(self) -> int | None:
        """How many workers infer; None: as many as it takes, to be measured."""
        return 1 if self.is_sequential else _WORKERS(self.inference_workers, "inference_workers")

    @property
    def learner_count(self) -> int | None:
        """How many learn, 0 if nothing is learned; None: as many as keep up, to be measured."""
        return _LEARNERS(self.learner_workers, "learner_workers") if self.learns else 0

    @property
    def playout_ticks(self) -> int | None:
        """The constant delay D of tickets, 0 for none; None: as long as answers need, to be measured."""
        return _PLAYOUT(self.playout, "playout")

    @property
    def environment_keywords(self) -> dict:
        """What the environment is made with besides its name."""
        return {} if self.environment_kwargs is None else json_object(self.environment_kwargs, "environment_kwargs")

    def has(self, part: str) -> bool:
        """Whether the agent has that part of Rainbow's, e.g. "noisy": as set, or else as --agent says."""
        chosen = getattr(self, part)
        return self.agent == "rainbow" if chosen is None else chosen

    def core_list(self) -> list[int]:
        """The cores to use, in order. Raises UserError if this process may not run on one of them."""
        return topology.cores() if self.cores is None else _cores(self.cores, "cores")


def from_python(given: dict) -> dict:
    """Settings as Python says them, turned into the plain values that JSON and a flagfile can hold.

    A path becomes its text, a number of numpy's a plain one, a dict of `environment_kwargs` JSON, and a list of `cores` text.

    Raises:
      UserError: `environment_kwargs` holds what JSON cannot.
    """
    return {name: _from_python(name, value) for name, value in given.items()}


def _from_python(name: str, value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if name == "cores" and isinstance(value, list | tuple | range):
        return ",".join(str(core) for core in value)
    if name == "environment_kwargs" and isinstance(value, dict):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise UserError(f"environment_kwargs={value!r} cannot be written as JSON ({error})") from None
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 else value


def as_flagfile(settings: Settings) -> str:
    """Every setting as a line of a flagfile that repeats the run (into a new folder)."""
    lines = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        line = f"--{item.name}={'' if value is None else value}"
        lines.append(f"# {line}" if value is None or facts(item).once else line)
    return "\n".join(lines) + "\n"
