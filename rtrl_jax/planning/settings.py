"""The settings of a plan: the one list from which launch/plan.py makes its flags.

A setting's text is its help.
"""

import os
from dataclasses import dataclass

from rtrl_jax import latency
from rtrl_jax.errors import UserError
from rtrl_jax.settings import MOST_TICKS, Settings
from rtrl_jax.settings_fields import Condition, check, same_as, setting
from rtrl_jax.settings_texts import MOST_CORES
from rtrl_jax.telemetry import files

LEARNER = Condition("a learner", lambda planning: planning.learn_every > 0, "leave it out with --learn_every=0")
LAYERS = Condition("--layers", lambda planning: planning.layers)


@dataclass(frozen=True)
class Planning:
    environment: str = same_as(Settings, "environment", group="Environment")
    environment_kwargs: str | None = same_as(Settings, "environment_kwargs")
    observation: str = same_as(Settings, "observation")
    image_size: str | None = same_as(Settings, "image_size")
    rate_hz: float | None = same_as(Settings, "rate_hz")
    frame_stack: int = same_as(Settings, "frame_stack")

    network: str = same_as(Settings, "network", group="Network and learning")
    width: float | None = same_as(Settings, "width")
    parameters: str | None = same_as(Settings, "parameters")
    inference_dtype: str = same_as(Settings, "inference_dtype")
    agent: str = same_as(Settings, "agent", "what is learned")
    learn_every: int = setting(4, "ticks, or decisions, for each update; 0 for no learning", between=(0, MOST_TICKS))
    learn_per: str | None = same_as(Settings, "learn_per")
    batch_size: int | None = same_as(Settings, "batch_size")

    cores: int | None = setting(
        None,
        "how many cores the plan is for; default: as many as this machine has",
        group="Machine and times",
        between=(1, MOST_CORES),
    )
    cluster: str = same_as(
        Settings,
        "cluster",
        "auto, or the address, of a Ray cluster that this machine has joined: its cores count too, and its network is measured",
    )
    inference_ms: str | None = setting(None, f"take this instead of measuring an inference: {latency.FORMS}")
    update_ms: float | None = setting(
        None,
        "take this instead of measuring an update: milliseconds",
        above=0,
        at_most=latency.LONGEST_MS,
        belongs_to=LEARNER,
    )
    p_minimax: float = setting(
        0.9,
        "how predictable the world is: probability of the likeliest next state at worst; 1 is deterministic",
        between=(0, 1),
    )

    out: str | None = setting(None, "file to write the plan to (.json), which must not exist yet", group="Output")
    display: str = setting("auto", "auto prints tables; none prints nothing (give --out)", ("auto", "none"))
    layers: bool = setting(
        False, "instead of a plan, show how each convolution is computed; tries all ways if that was not done here yet"
    )
    remeasure: bool = setting(False, "try all ways again, and keep the fastest for runs to come", belongs_to=LAYERS)

    def check(self) -> None:
        """Raises UserError if a value is out of range or contradicts another."""
        check(self)
        if self.layers and (self.out is not None or self.display == "none"):
            raise UserError("--layers prints a table and no plan: leave out --out and --display=none")
        if self.cluster_address is not None and self.cores is not None:
            raise UserError(f"--cores={self.cores}: with --cluster its cores are counted; leave one of the two out")
        if self.inference_ms is not None:
            self.draws(1)
        self.run_settings().check()
        self._check_out()

    def _check_out(self) -> None:
        if self.out is None:
            if self.display == "none":
                raise UserError("--display=none prints nothing: say where the plan goes with --out=FILE.json")
            return
        if not self.out.endswith(".json"):
            raise UserError(f"--out={self.out}: it should end in .json")
        files.check_file(self.out)

    def draws(self, count: int):
        """`count` of the stated inference times, in milliseconds."""
        import numpy as np

        draw, rng = latency.parse(str(self.inference_ms), "inference_ms"), np.random.default_rng(0)
        times = np.array([draw(rng) for _ in range(count)])
        if not times.mean() > 0:
            raise UserError(f"--inference_ms={self.inference_ms}: it must be more than 0")
        return times

    @property
    def core_count(self) -> int:
        return self.cores or len(os.sched_getaffinity(0))

    @property
    def cluster_address(self) -> str | None:
        """As of a run's settings."""
        return Settings(cluster=self.cluster).cluster_address

    def run_settings(self) -> Settings:
        """Those of a run that learns and infers as planned."""
        same = "environment environment_kwargs observation image_size rate_hz frame_stack"
        same += " network width parameters agent batch_size inference_dtype"
        return Settings(
            **{name: getattr(self, name) for name in same.split()},
            learn_every=self.learn_every or None,
            learn_per=self.learn_per,
            learner_workers="1" if self.learn_every else "0",
        )
