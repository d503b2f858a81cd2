"""A whole evaluation: checking what was asked for, playing it, writing what came of it."""

import contextlib
import pathlib
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rtrl_jax import environments
from rtrl_jax.core import folder as folders
from rtrl_jax.environments import Spec, fresh
from rtrl_jax.evaluation import pool, table, world
from rtrl_jax.evaluation.episodes import Job
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.evaluation.worker import SLOTS, Work
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.summary import machine, versions

ONE_EMULATOR_A_PROCESS = ("gameboy/", "pokemon-")


def evaluate(settings: Evaluation) -> dict:
    """Plays all episodes and returns what summary.json holds; its "folder" says where.

    Ctrl-C ends it early: what is finished is written, and KeyboardInterrupt goes on.

    Raises:
      UserError: bad input; nothing has been written.
      RuntimeError: a process died; what was finished is in the folder.
    """
    settings.check()
    cores = Settings(cores=settings.cores).core_list()
    folder = folders.choose(settings.out, "evaluation", flag="--out")
    policy = _load(settings)
    manifest = policy.manifest if policy else None
    specs = _look_at(settings, policy)
    del policy  # it may be large, and the processes read their own
    folders.make(folder, flag="--out")
    if line := world.overrides(settings, manifest):
        _say(line)

    jobs = [Job(seed, number) for seed in settings.seed_list() for number in range(settings.episodes)]
    played = {name: [] for name in specs}
    began, complete = time.monotonic(), False
    try:
        with _progress() as progress:
            for name, spec in specs.items():
                bar = progress.add_task(name, total=len(jobs))
                work = _work(settings, name, spec, manifest, len(jobs), len(cores))
                with contextlib.closing(pool.play(work, jobs, cores)) as finished:
                    for episode in finished:
                        played[name].append(episode)
                        progress.advance(bar)
        complete = True
    finally:
        summary = _summary(settings, manifest, specs, played, time.monotonic() - began, complete)
        summary["folder"] = str(folder)
        some = {name: episodes for name, episodes in played.items() if episodes}
        table.write(folder, some, summary["rows"], summary)
        if not complete:
            finished = sum(map(len, played.values()))
            wanted = len(jobs) * len(specs)
            _say(f"ended early: the {finished} of {wanted} episodes that were finished are in {folder}")
        for name, episodes in some.items():
            if count := sum(episode.not_finite for episode in episodes):
                _say(
                    f"warning: {count} rewards or observations of {name} were NaN or infinite: 0 was put in their place"
                )
    return summary


def _load(settings: Evaluation):
    if settings.policy != "checkpoint":
        return None
    from rtrl_jax.checkpoints import load_policy

    return load_policy(pathlib.Path(settings.checkpoint).expanduser())


def _look_at(settings: Evaluation, policy) -> dict[str, Spec]:
    """The spec of each environment. Raises UserError if there is none of that name, or the policy does not fit it."""
    specs = {}
    for name in settings.environment_list(policy.manifest["environment"] if policy else None):
        environment = environments.make(name, **world.options(settings, name, policy and policy.manifest))
        environment.close()
        fresh.check(name)
        specs[name] = environment.spec
        if policy:
            from rtrl_jax.evaluation import policies

            policies.check_fit(policy, name, environment.spec)
    return specs


def _work(settings: Evaluation, name: str, spec: Spec, manifest: dict | None, jobs: int, cores: int) -> Work:
    plays = {"schedule": tuple(settings.schedule(spec)), "most_ticks": settings.max_ticks_per_episode}
    where = {"environment": name, "options": world.options(settings, name, manifest)}
    if manifest is None:  # nothing waits for a network, so there is nothing to gain from several side by side
        nobody = {"checkpoint": None, "version": None, "epsilon": 1.0, "frame_stack": 1, "side_by_side": 1}
        return Work(**where, **plays, **nobody)

    from rtrl_jax.evaluation import policies

    return Work(
        **where,
        **plays,
        checkpoint=str(pathlib.Path(settings.checkpoint).expanduser()),
        version=policies.version(manifest),
        epsilon=settings.epsilon,
        frame_stack=policies.frame_stack(manifest),
        side_by_side=1 if name.startswith(ONE_EMULATOR_A_PROCESS) else min(SLOTS, -(-jobs // cores)),
    )


def _summary(settings: Evaluation, manifest, specs, played, seconds: float, complete: bool) -> dict:
    rows = [
        table.row(
            name,
            episodes,
            policy=settings.policy,
            rate_hz=specs[name].rate_hz,
            delay=None if settings.policy == "noop" else settings.delay_ticks(specs[name].rate_hz),
            action_every=settings.action_every,
        )
        for name, episodes in played.items()
        if episodes
    ]
    ticks = sum(episode.ticks for episodes in played.values() for episode in episodes)
    about = ("environment", "tick", "updates", "network", "actions")
    return {
        "complete": complete,
        "settings": settings.as_dict(),
        "checkpoint": None if manifest is None else {name: manifest.get(name) for name in about},
        "rows": rows,
        "together": table.together(played) if complete else None,
        "interval": "95 % percentile bootstrap over episodes, pooled over seeds; no random no-op starts",
        "seconds": round(seconds, 2),
        "ticks_per_s": round(ticks / seconds, 1),
        "machine": machine(),
        "versions": versions(),
    }


def _say(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(line, markup=False)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
