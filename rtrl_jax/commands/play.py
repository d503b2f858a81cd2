"""A game in the browser, for you to play: at its real speed, and with the delay that an agent has.

rtrl-play --environment=gameboy/stacks
rtrl-play --environment=atari/Boxing --delay=8
rtrl-play --environment=gameboy/stacks --interaction=sequential --inference_ticks=70
rtrl-play --environment=gameboy/stacks --record=mine.npz
"""

import sys

from absl import flags

from rtrl_jax import environments
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.page import listener

LONGEST = 10_000  # ticks
ENVIRONMENT = flags.DEFINE_string(
    "environment", "gameboy/stacks", "what to play, as in launch/run.py; it needs a picture"
)
RATE_HZ = flags.DEFINE_float("rate_hz", None, "ticks a second; default: the environment's own rate")
DELAY = flags.DEFINE_integer(
    "delay", 1, "ticks from the picture you see to the action you answer with; 1 is an ordinary game"
)
INTERACTION = flags.DEFINE_enum(
    "interaction", "async", ["async", "sequential"], "sequential: one decision at a time, as a slow agent that blocks"
)
INFERENCE_TICKS = flags.DEFINE_integer("inference_ticks", None, "sequential: ticks that a decision takes")
RECORD = flags.DEFINE_string("record", None, "write what you play into this new .npz file, for --demonstrations")
SEED = flags.DEFINE_integer("seed", 0, "of the game", lower_bound=0)
PAGE = flags.DEFINE_integer("page", 8000, "port to serve it on; 0 takes any that is free")
PAGE_HOST = flags.DEFINE_string(
    "page_host", "127.0.0.1", "address to serve it on; beyond this machine it asks for a token"
)


def main() -> None:
    _check()
    with listener.opened(PAGE.value, PAGE_HOST.value) as page:
        sys.path.append("")  # modules of the user's own that register an environment
        environment = environments.make(ENVIRONMENT.value, rate_hz=RATE_HZ.value)
        try:
            _play(environment, page)
        finally:
            environment.close()


def _check() -> None:
    for flag in (DELAY, INFERENCE_TICKS):
        if flag.value is not None and not 1 <= flag.value <= LONGEST:
            raise UserError(f"--{flag.name}={flag.value}: a number of ticks from 1 to {LONGEST}")
    if RATE_HZ.value is not None and not 1 <= RATE_HZ.value <= 1000:
        raise UserError(f"--rate_hz={RATE_HZ.value:g}: from 1 to 1000 ticks a second can be played")
    if (INTERACTION.value == "sequential") != (INFERENCE_TICKS.value is not None):
        raise UserError("--interaction=sequential and --inference_ticks belong together: give both")
    if INTERACTION.value == "sequential" and DELAY.value != 1:
        raise UserError("--delay belongs to --interaction=async: a sequential decision is as old as --inference_ticks")


def _play(environment, page) -> None:
    from rtrl_jax.page import play, recording
    from rtrl_jax.page.foreground import until_interrupted
    from rtrl_jax.page.lag import Delayed, Sequential

    spec = environment.spec
    if spec.picture_shape is None:
        raise UserError(f"{ENVIRONMENT.value} has no picture to look at, its observations are numbers")
    record = None if RECORD.value is None else recording.check(RECORD.value, spec)
    kept = (
        None
        if record is None
        else recording.Recording(spec.default_action, ENVIRONMENT.value, spec.action_names, spec.actions)
    )
    ticks = INFERENCE_TICKS.value
    lag = Sequential(ticks, spec.default_action) if ticks else Delayed(DELAY.value, spec.default_action)
    greeting = {
        "environment": ENVIRONMENT.value,
        "delay": ticks or DELAY.value,
        "sequential": bool(ticks),
        "encounters": environment.encounters,
        "record": None if record is None else record.name,
    }
    game = play.Play(environment, lag, SEED.value, kept)
    print(f"{ENVIRONMENT.value} is played at {page.url} (Ctrl-C ends it)", flush=True)
    until_interrupted(lambda until: play.show(game, page, until, spec.rate_hz, greeting))
    if kept is not None:
        print(kept.write(record))


def command() -> int:
    return run_command(main)
