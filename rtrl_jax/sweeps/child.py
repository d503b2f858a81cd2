"""Where the process of a sweep's run begins, with its message on standard input. Its argument, RUN_DIR, is for who looks.

It goes on with the run from its newest checkpoint, or begins it, and then evaluates what was learned. It dies with the sweep.
"""

import json
import os
import pathlib
import sys
import time
import traceback
from typing import NamedTuple

from rtrl_jax.core.one_thread import die_with
from rtrl_jax.errors import UserError

PATIENCE_S = 30.0  # with whoever is still in the run's folder


class Message(NamedTuple):
    """What it is told. Plain values only."""

    parent: int
    niceness: int
    out: str  # of the sweep
    name: str  # of the run
    settings: dict  # by name, those of `Settings`
    episodes: int  # 0: no evaluation
    most_ticks: int


def main() -> None:
    message, status = Message(**json.load(sys.stdin)), 0
    die_with(message.parent)
    os.nice(message.niceness)
    try:
        perform(message)
    except (UserError, RuntimeError) as error:  # in one line; anything else with its traceback
        status = 1
        print(" ".join(str(error).split()) or repr(error), file=sys.stderr)
    except BaseException:
        status = 1
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        status
    )  # everything is written; threads of libraries that are still there can abort an interpreter that ends


def perform(message: Message) -> None:
    """Raises what the run raises."""
    from rtrl_jax.settings import Settings
    from rtrl_jax.sweeps import place

    here = place.of(pathlib.Path(message.out), message.name)
    settings = Settings(**message.settings)
    is_evaluated = message.episodes and not here.scores()
    plays_its_checkpoint = is_evaluated and settings.policy == "agent"

    def is_done() -> bool:
        return here.is_over() and (not plays_its_checkpoint or _has_checkpoint_of_its_end(here.run))

    if not is_done():
        _play(settings, here)
    if is_evaluated and here.is_over():
        if not is_done():
            raise RuntimeError(
                f"there is no checkpoint of its end in {here.run} to evaluate: --retry_failed plays the rest"
            )
        place.clear(here.evaluation)
        _evaluate(settings, here, message)


def _has_checkpoint_of_its_end(run: pathlib.Path) -> bool:
    """Its last one may have failed, for want of space perhaps."""
    from rtrl_jax.checkpoints import store
    from rtrl_jax.telemetry.recorder import read_back

    found = store.whole(run)
    return bool(found) and int(found[-1].name) == read_back(run)["ticks"]["tick"][-1]


def _play(settings, here) -> None:
    import dataclasses

    import rtrl_jax
    from rtrl_jax.sweeps import place

    if here.run.is_dir() and _has_gone_on(settings, here.run):
        return
    place.clear(here.run)
    rtrl_jax.run(**dataclasses.asdict(settings))


def _has_gone_on(settings, run: pathlib.Path) -> bool:
    """Plays the rest of it; or else it may begin again. Raises whatever else keeps it, which costs it nothing."""
    import rtrl_jax
    from rtrl_jax.checkpoints import restoring, store
    from rtrl_jax.core.finishing import finish

    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if not store.whole(run):
                with store.locked(run):
                    return False
            rtrl_jax.resume(run, cores=settings.cores)
            return True
        except restoring.AtItsEndError:  # killed between its last checkpoint and its summary
            finish(run)
            return True
        except store.BusyError:  # the process of a sweep that was killed is about to die
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        except store.DamagedError as error:
            if not settings.is_virtual and len(store.whole(run)) == 1:
                raise
            print(f"{error}: it is deleted", file=sys.stderr)
            store.remove(error.checkpoint)
        except restoring.NoWayOnError as error:
            if not settings.is_virtual:
                raise
            # In virtual time the same comes of it again, so that all that is lost is time.
            print(f"it cannot be gone on with ({error}); it begins again", file=sys.stderr)
            return False


def _evaluate(settings, here, message: Message) -> None:
    from rtrl_jax.evaluation.evaluate import evaluate
    from rtrl_jax.sweeps.definition import Played

    os.sched_setaffinity(0, settings.core_list())
    cores = [_processor()] if settings.is_virtual else settings.core_list()  # other runs have the others
    evaluate(Played(message.episodes, message.most_ticks).evaluation(settings, here, ",".join(map(str, cores))))


def _processor() -> int:
    """The one that this process is on just now."""
    with open("/proc/self/stat") as file:
        return int(file.read().rpartition(")")[2].split()[36])
