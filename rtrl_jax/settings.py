"""The settings of a run: the one list from which launch/run.py makes its flags and `rtrl_jax.run` its keywords.

A setting's text is its help. The loops do not see this class: they take the few plain values they need. What a text stands
for is said by the properties: nobody else parses one.
"""

from dataclasses import dataclass

from rtrl_jax import addresses, latency, stagger, topology
from rtrl_jax import settings_texts as texts
from rtrl_jax.board.ring import Stacking
from rtrl_jax.errors import UserError
from rtrl_jax.pending import ENCODINGS, KINDS
from rtrl_jax.settings_fields import Condition, NumberOr, check, json_object, setting, when
from rtrl_jax.settings_together import contradictions
from rtrl_jax.stagger import Cadence

LEAST_CAPACITY = 4096
MOST_WORKERS = 4096
MOST_LEARNERS = 256
MOST_TICKS = 10**9
MOST_COUNTED = 10**12  # ticks, updates, episodes in all
MOST_SECONDS = 10**9
SLOWEST_HZ, FASTEST_HZ = 0.001, 100_000
WIDEST = 1000  # the paper's k; its largest network has 98
LARGEST_BATCH = 65_536
MOST_STACKED = 256
MOST_NOOPS = 10_000
MOST_SKIPPED = 1000
MOST_TOLD = 1000
LARGEST_GRID = (
    20  # rows and columns of an image in which there is nothing to be pooled; of whole numbers they are symbols
)
LARGEST_SIDE = 96  # rows or columns of an image, unless a size is asked for
VIEWS = ("auto", "grey84", "image", "vector")
MOST_HELD = 1000  # ticks
TOLD = 16  # actions, where the delay is not known beforehand

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
CLUSTER = Condition("--cluster", lambda settings: settings.cluster_address is not None)
SAC = Condition("--agent=sac", lambda settings: settings.agent in ("auto", "sac"))
PENDING = Condition("--pending=history or late", lambda settings: settings.pending != "none")
LATE = Condition("--pending=late", lambda settings: settings.head_is_late)
DELAYED = Condition("--delay", lambda settings: settings.delay is not None)


_WORKERS = NumberOr({"auto": None}, 1, MOST_WORKERS)
_LEARNERS = NumberOr({"auto": None}, 0, MOST_LEARNERS)
_PLAYOUT = NumberOr({"auto": None, "off": 0}, 1, MOST_TICKS)


@dataclass(frozen=True)
class Settings:
    environment: str = setting(
        "atari/Boxing",
        "what to play: gameboy/<game>, pokemon-<colour>/<setting>, atari/<Game>, toy/<name>, or of Gymnasium an <id>, "
        "<module>:<id>, or <module>:<factory> which returns one",
        group="Environment",
    )
    environment_kwargs: str | None = setting(
        None, 'what the environment is made with, as a JSON object, e.g. {"continuous": false}', parse=json_object
    )
    observation: str = setting(
        "auto",
        "what is seen of it: auto, what fits (games 84x84 grey, other images in colour, small grids as symbols, else a vector); "
        "grey84, image or vector in any case",
        VIEWS,
    )
    image_size: str | None = setting(
        None,
        f"rows and columns that images are brought to, e.g. 64 or 48x64; default: their own, {LARGEST_SIDE} of each at most",
        parse=texts.image_size,
    )
    normalise_observations: bool = setting(
        False,
        "what is seen is scaled by its mean and deviation so far, kept with the parameters; they move with each update",
    )
    rate_hz: float | None = setting(
        None, "ticks a second; default: the environment's own rate", between=(SLOWEST_HZ, FASTEST_HZ)
    )
    default_action: str = setting(
        "noop",
        "what acts while no decision is ready: noop; repeat, the last action; or, of vectors, an action such as 0,0.5. noop is "
        "of vectors zero, where that lies in their bounds",
        parse=texts.stated_action,
    )
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
    encounters: str = setting(
        "in_order",
        "of a game that has several: in_order, each until it is won, as in the paper, or random, another for each episode; "
        "evaluation plays all alike",
        ("in_order", "random"),
    )
    episode_ticks: int | None = setting(
        None, "ticks after which an episode is cut off, which learning does not take for an end", at_least=1
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
    rehearse: bool = setting(
        True,
        "with tickets an inference worker that has a core to itself makes inferences for nobody just before the next can come, "
        "so that it finds warm caches",
        belongs_to=WALL,
    )
    emulated_inference_ms: str | None = setting(
        None,
        f"make inference take this long: {latency.FORMS}",
        parse=texts.inference_times,
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
        f"auto is resnet15 for images, grid (a small convolution) for those of {LARGEST_GRID} rows and columns at most, mlp for "
        "vectors",
        ("auto", "resnet15", "resnet30", "nature", "grid", "mlp"),
        group="Network",
    )
    width: float | None = setting(None, "the paper's k; default 1", above=0, at_most=WIDEST)
    parameters: str | None = setting(None, "size in place of --width, e.g. 55K, 1M, 10M, 100M, 1B")
    fast: bool = setting(True, "ResNets convolve by faster formulas (Winograd's, sums of shifts); false: plain Flax")
    inference_dtype: str = setting(
        "float32",
        "bfloat16, int8: ResNets multiply shorter numbers when acting: faster, less exact; int8 needs a C++ compiler and VNNI",
        ("float32", "bfloat16", "int8"),
        belongs_to=FAST,
    )
    plan: str | None = setting(
        None,
        "how each convolution is computed, as in the flags.txt of another run; default: as launch/plan.py --layers measured "
        "on this machine, else by rule",
        belongs_to=FAST,
    )
    input_scale: str = setting(
        "auto",
        "what a frame's bytes are to the network: unit, numbers from 0 to 1; byte, from 0 to 255; auto, unit, of symbols byte",
        ("auto", "unit", "byte"),
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
    agent: str = setting(
        "auto",
        "what is learned: auto, sac where actions are vectors of real numbers, else dqn; rainbow switches all the parts below on",
        ("auto", "dqn", "rainbow", "sac"),
    )
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
    action_gap: float = setting(
        0.0,
        "advantage learning: actions below the best are pushed 1 / (1 - α) times as far below it, for short ticks and slow games",
        between=(0, 0.99),
        belongs_to=LEARNER,
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

    target_entropy: float | None = setting(
        None,
        "what the temperature holds the policy's entropy to; default: minus the numbers in an action",
        belongs_to=SAC,
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

    reflex: bool = setting(
        False,
        "whether the head also sees the newest observation, through a small convolution of its own: needs --pending=late",
        belongs_to=LATE,
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
    learn_every: int | None = setting(
        None,
        "ticks, or decisions, for each update; 0 switches learning off; default 4, with sac 1",
        between=(0, MOST_TICKS),
    )
    learn_per: str | None = setting(
        None,
        "what --learn_every counts: ticks, or decisions that acted, which the paper counts; for an agent that acts at every "
        "tick both are the same; default tick, with --accounting=reference decision",
        ("tick", "decision"),
    )
    learn_start: int = setting(1000, "transitions before the first update", between=(1, MOST_TICKS))
    batch_size: int | None = setting(
        None, "transitions in an update; default 16, with sac 256", between=(1, LARGEST_BATCH)
    )
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
        "what the learner sees of a tick's reward: sign, within one unit of 0, or gains alone (what is above 0); scores stay",
        ("none", "sign", "unit", "gains"),
        belongs_to=LEARNER,
    )
    discount_per: str = setting("decision", "what the discount is counted by", ("decision", "tick"))
    gradient_clip: float | None = setting(None, "largest norm of a gradient; default 10, with sac none", above=0)
    target_every: int | None = setting(
        None, "updates between two steps of the target network; default 10000, with sac 1", between=(1, MOST_COUNTED)
    )
    target_rate: float | None = setting(
        None,
        "how far such a step leads to the newest parameters; 1 copies them; default 1, with sac 0.005",
        above=0,
        at_most=1,
    )
    demonstrations: str | None = setting(None, "a file of demonstrations to learn from first", belongs_to=LEARNER)
    pretrain_steps: int = setting(16_000, "updates on the demonstrations before the run", between=(0, MOST_COUNTED))

    epsilon_start: float | None = setting(
        None,
        "probability of a random action at the beginning; default 1, with --noisy and sac 0",
        group="Exploration",
        between=(0, 1),
    )
    epsilon_end: float | None = setting(
        None,
        "and after --epsilon_steps, or throughout if nothing is learned; default 0.05, with --noisy and sac 0",
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
        None, "processor cores to use, e.g. 0,1 or 0-3; default: all that are allowed", parse=texts.cores
    )
    hang_timeout_s: float = setting(
        10.0, "a worker without a sign of life for so long is replaced", above=0, at_most=MOST_SECONDS
    )
    cluster: str = setting(
        "off",
        "auto, or the address, e.g. 10.0.0.1:6379, of a Ray cluster that this machine has joined: inference workers for whom it "
        "has no core go to the others",
        belongs_to=WALL,
    )
    learners_on: str = setting(
        "environment",
        "where learners are, together, and what they learn from: on the environment's machine, on that one of the cluster with "
        "this name or address, or auto: elsewhere if the environment's has no core for each of them",
        belongs_to=CLUSTER,
    )
    snapshot_dtype: str = setting(
        "float32",
        "bfloat16: matrices are sent to other machines' inference workers in half the bytes, rounded to 8 bits",
        ("float32", "bfloat16"),
        belongs_to=CLUSTER,
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
        parse=texts.virtual_times,
        belongs_to=VIRTUAL,
    )
    learning_latency_ms: str | None = setting(
        None,
        "what an update takes, 0 unless stated; the same forms",
        parse=texts.virtual_times,
        belongs_to=VIRTUAL,
    )
    learning_schedule: str | None = setting(
        None,
        "asynchronous, learners that take their time, or every:N, an update in every N ticks (or decisions, as --learn_per "
        "says) that takes none; default "
        "asynchronous, with --delay every:<--learn_every>",
        parse=texts.schedule,
        belongs_to=VIRTUAL,
    )
    accounting: str = setting(
        "ours",
        "reference: as the paper's released code simulates a given --delay, for comparison; or only in some of what differs, "
        f"e.g. lag,next_obs of {','.join(texts.DEPARTURES)}",
        parse=texts.departures,
        belongs_to=DELAYED,
    )

    def check(self) -> None:
        """Raises UserError if a value is out of range, contradicts another, or asks for what this machine lacks."""
        check(self)
        for is_wrong, message in contradictions(self):
            if is_wrong:
                raise UserError(message)

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
    def default_vector(self) -> tuple[float, ...] | None:
        """β, where actions are vectors and it is stated."""
        return texts.stated_action(self.default_action, "default_action")

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
        """Which of `settings_texts.DEPARTURES` the run follows."""
        return texts.departures(self.accounting, "accounting")

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
        draws = self.has("noisy") or self.agent == "sac"  # by itself
        end = self.epsilon_end if self.epsilon_end is not None else (0.0 if draws else 0.05)
        start = self.epsilon_start if self.epsilon_start is not None else (0.0 if draws else 1.0)
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
            self.learn_every != 0 and self.policy == "agent" and _LEARNERS(self.learner_workers, "learner_workers") != 0
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
    def image_rows_and_columns(self) -> tuple[int, int] | None:
        """What images are brought to; None: they stay as large as they are, within bounds."""
        return None if self.image_size is None else texts.image_size(self.image_size, "image_size")

    @property
    def cluster_address(self) -> str | None:
        """Of the cluster whose machines take inference workers, or "auto"; None: this machine is alone."""
        return None if self.cluster == "off" else self.cluster

    def has(self, part: str) -> bool:
        """Whether the agent has that part of Rainbow's, e.g. "noisy": as set, or else as --agent says."""
        chosen = getattr(self, part)
        return self.agent == "rainbow" if chosen is None else chosen

    def core_list(self) -> list[int]:
        """The cores to use, in order. Raises UserError if this process may not run on one of them."""
        return topology.cores() if self.cores is None else texts.cores(self.cores, "cores")
