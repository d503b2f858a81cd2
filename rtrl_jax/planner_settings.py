"""The settings of a plan: the one list from which launch/plan.py makes its flags.

A setting's comment is its help text.
"""

import math
import os
from dataclasses import dataclass, field

from rtrl_jax import latency
from rtrl_jax.errors import UserError
from rtrl_jax.settings import MOST_CORES, Settings
from rtrl_jax.telemetry import files


def _setting(default, help_text: str, choices: tuple[str, ...] | None = None):
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclass(frozen=True)
class Planning:
    environment: str = _setting("atari/Boxing", "what to play: see launch/run.py")
    rate_hz: float | None = _setting(None, "ticks a second; default: the environment's own rate")
    network: str = _setting(
        "auto", "auto is resnet15 for images, mlp for vectors", ("auto", "resnet15", "resnet30", "nature", "mlp")
    )
    width: float | None = _setting(None, "the paper's k; default 1")
    parameters: str | None = _setting(None, "size in place of --width, e.g. 55K, 1M, 10M, 100M, 1B")
    frame_stack: int = _setting(1, "observations the network sees at once")
    agent: str = _setting("dqn", "what is learned", ("dqn", "rainbow"))
    cores: int | None = _setting(None, "how many cores the plan is for; default: as many as this machine has")
    learn_every: int = _setting(4, "ticks for each update; 0: nothing is learned")
    batch_size: int = _setting(16, "transitions in an update")
    inference_dtype: str = _setting("float32", "as of launch/run.py", ("float32", "bfloat16"))
    inference_ms: str | None = _setting(None, f"take this instead of measuring an inference: {latency.FORMS}")
    update_ms: float | None = _setting(None, "take this instead of measuring an update: milliseconds")
    p_minimax: float = _setting(
        0.9, "how predictable the world is: probability of the likeliest next state at worst; 1 is deterministic"
    )
    layers: bool = _setting(
        False, "instead of a plan, show how each convolution is computed; tries all ways if that was not done here yet"
    )
    remeasure: bool = _setting(False, "with --layers: try all ways again, and keep the fastest for runs to come")
    out: str | None = _setting(None, "file to write the plan to (.json), which must not exist yet")
    display: str = _setting("auto", "auto prints tables; none prints nothing (give --out)", ("auto", "none"))

    def check(self) -> None:
        """Raises UserError if a value is out of range or contradicts another."""
        for name in ("cores", "update_ms"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"--{name}={value}: it must be a number greater than 0")
        if self.cores is not None and self.cores > MOST_CORES:
            raise UserError(f"--cores={self.cores}: how many there are, at most {MOST_CORES}")
        if self.learn_every < 0:
            raise UserError(f"--learn_every={self.learn_every}: a number of ticks, or 0 to learn nothing")
        if self.update_ms is not None and not self.learn_every:
            raise UserError("--update_ms is for a learner: leave it out with --learn_every=0")
        if self.remeasure and not self.layers:
            raise UserError("--remeasure belongs to --layers")
        if self.layers and (self.out is not None or self.display == "none"):
            raise UserError("--layers prints a table and no plan: leave out --out and --display=none")
        if not 0 <= self.p_minimax <= 1:
            raise UserError(f"--p_minimax={self.p_minimax}: it must lie between 0 and 1")
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

        try:
            draw = latency.parse(self.inference_ms)
        except UserError as error:
            raise UserError(str(error).replace("--emulated_inference_ms", "--inference_ms")) from None
        rng = np.random.default_rng(0)
        times = np.array([draw(rng) for _ in range(count)])
        if not times.mean() > 0:
            raise UserError(f"--inference_ms={self.inference_ms}: it must be more than 0")
        return times

    @property
    def core_count(self) -> int:
        return self.cores or len(os.sched_getaffinity(0))

    def run_settings(self) -> Settings:
        """Those of a run that learns and infers as planned."""
        same = "environment rate_hz network width parameters frame_stack agent batch_size inference_dtype"
        return Settings(
            **{name: getattr(self, name) for name in same.split()},
            learn_every=self.learn_every or Settings.learn_every,
            learner_workers="1" if self.learn_every else "0",
        )
