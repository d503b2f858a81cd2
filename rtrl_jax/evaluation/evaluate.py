"""A whole evaluation: checking what was asked for, playing it, writing what came of it."""

import contextlib
import json
import pathlib
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rtrl_jax import environments
from rtrl_jax.core import folder as folders
from rtrl_jax.environments import Spec, fresh
from rtrl_jax.evaluation import controls, judgement, pool, table, timing, world
from rtrl_jax.evaluation.controls import Control
from rtrl_jax.evaluation.episodes import Episode, Job, Player
from rtrl_jax.evaluation.schedule import NEVER
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.evaluation.tournament import Tournament
from rtrl_jax.evaluation.worker import SLOTS, Work
from rtrl_jax.pending import Pending
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.summary import machine, versions

ONE_EMULATOR_A_PROCESS = ("gameboy/", "pokemon-")


class Game(NamedTuple):
    """Where it is played."""

    spec: Spec
    encounters: int


class Entry(NamedTuple):
    """Who played where, and what came of it."""

    environment: str
    policy: str
    action_every: int
    episodes: list[Episode]


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
    games = _look_at(settings, policy)
    run = timing.of_run(_path(settings), manifest) if manifest else None
    del policy  # it may be large, and the processes read their own
    asked, settings = settings, timing.resolved(settings, run)
    facts = {name: _facts(settings, name, game, manifest) for name, game in games.items()}
    to_beat = {name: judgement.to_beat(settings.against, facts[name]) for name in games if settings.against}
    folders.make(folder, flag="--out")
    rate_hz = next(iter(games.values())).spec.rate_hz
    others = timing.overrides(asked, run, rate_hz) + world.overrides(asked, manifest)
    if others:
        _say(f"not as in the run: {', '.join(others)}")
    if line := timing.notice(asked, run):
        _say(line)

    alone: list[Entry] = []
    tournaments: dict[str, Tournament] = {}
    times = pool.Times()
    began, complete = time.monotonic(), False
    try:
        with _progress() as progress:
            for name, game in games.items():
                if settings.policy == "controls":
                    tournaments[name] = _tournament(settings, game)
                    players = _players(settings, game, tournaments[name].entered)
                    work = _work(settings, name, game, players, manifest, many=True)
                    tournaments[name].play(partial(_play, progress, times, name, work, cores))
                    continue
                alone.append(Entry(name, settings.policy, settings.action_every, []))
                control = Control(
                    settings.policy, settings.action_every, controls.pattern(settings.policy, name, game.spec)
                )
                jobs = [Job(seed, number) for seed in settings.seed_list() for number in range(settings.episodes)]
                players = _players(settings, game, [control])
                work = _work(settings, name, game, players, manifest, many=len(jobs) > len(cores))
                with contextlib.closing(_play(progress, times, name, work, cores, jobs)) as finished:
                    for episode in finished:
                        alone[-1].episodes.append(episode)
        complete = True
    finally:
        entries = [entry for entry in alone if entry.episodes]
        for name, tournament in tournaments.items():
            last = tournament.last_round()
            entries += [Entry(name, control.name, control.hold, episodes) for control, episodes in last]
        summary = _summary(settings, manifest, facts, entries, time.monotonic() - began, complete)
        summary["inference_share"] = times.inferring_s / times.playing_s if times.playing_s and manifest else None
        summary["controls"] = {
            name: [{**row, **_alike(facts[name], row["policy"])} for row in tournament.table()]
            for name, tournament in tournaments.items()
        } or None
        summary["judgement"] = [
            {
                "environment": row["environment"],
                "policy": row["policy"],
                "beats": judgement.beats(row["mean_interval"], best),
            }
            | {"control": best["policy"], "control_mean": best["mean"], "says": judgement.says(row, best)}
            for row in summary["rows"]
            if (best := to_beat.get(row["environment"]))
        ]
        summary["folder"] = str(folder)
        table.write(folder, entries, summary)
        if not complete:
            finished = sum(len(entry.episodes) for entry in entries)
            _say(f"ended early: the {finished} episodes that were finished are in {folder}")
        for entry in entries if complete else ():
            if line := table.alike(entry.environment, entry.policy, entry.episodes):
                _say(line)
        for name in games:
            played = [episode for entry in entries if entry.environment == name for episode in entry.episodes]
            if count := sum(episode.not_finite for episode in played):
                _say(
                    f"warning: {count} rewards or observations of {name} were NaN or infinite: 0 was put in their place"
                )
    return summary


def _play(
    progress: Progress, times: pool.Times, name: str, work: Work, cores, jobs: list[Job], part: str = ""
) -> Generator[Episode]:
    """The episodes of these jobs as they are finished. Args: part: what they are, if they are not all."""
    bar = progress.add_task(f"{name} {part}".strip(), total=len(jobs))
    with contextlib.closing(pool.play(work, jobs, cores, times)) as finished:
        for episode in finished:
            progress.advance(bar)
            yield episode


def _load(settings: Evaluation):
    if settings.policy != "checkpoint":
        return None
    from rtrl_jax.checkpoints import load_policy

    return load_policy(_path(settings))


def _path(settings: Evaluation) -> pathlib.Path:
    return pathlib.Path(settings.checkpoint).expanduser()


def _look_at(settings: Evaluation, policy) -> dict[str, Game]:
    """Each environment. Raises UserError if there is none of that name, or the policy does not fit it."""
    games = {}
    for name in settings.environment_list(policy.manifest["environment"] if policy else None):
        environment = environments.make(name, **world.options(settings, name, policy and policy.manifest))
        games[name] = Game(environment.spec, environment.encounters)
        environment.close()
        fresh.check(name)
        controls.pattern(settings.policy, name, environment.spec)
        if policy:
            from rtrl_jax.evaluation import policies

            policies.check_fit(policy, name, environment.spec)
    return games


def _tournament(settings: Evaluation, game: Game) -> Tournament:
    entered = controls.every(
        game.spec, gaps=settings.inaction == "sequential" and settings.delay_ticks(game.spec.rate_hz) > 1
    )
    return Tournament(entered, game.encounters, settings.seed_list(), settings.episodes)


def _players(settings: Evaluation, game: Game, entered: Sequence[Control]) -> list[Player]:
    """Those who play: each control, or the checkpoint under that name."""
    epsilon = float(settings.epsilon) if settings.policy == "checkpoint" else 1.0
    return [
        Player(NEVER if one.name == "noop" else settings.schedule(game.spec, one.hold), epsilon, one.pattern)
        for one in entered
    ]


def _work(
    settings: Evaluation, name: str, game: Game, players: list[Player], manifest: dict | None, many: bool
) -> Work:
    """Args: many: whether there are more episodes than processes."""
    where = {"environment": name, "options": world.options(settings, name, manifest)}
    plays = {
        "players": players,
        "most_ticks": settings.max_ticks_per_episode,
        "repeat": settings.default_action == "repeat",
    }
    if manifest is None:  # nothing waits for a network, so there is nothing to gain from several side by side
        nobody = {
            "checkpoint": None,
            "version": None,
            "stacking": [1, 1],
            "pending": [*Pending()],
            "rows": 1,
            "side_by_side": 1,
        }
        return Work(**where, **plays, **nobody)

    from rtrl_jax.evaluation import policies

    rows = 1 if name.startswith(ONE_EMULATOR_A_PROCESS) else SLOTS
    return Work(
        **where,
        **plays,
        checkpoint=str(_path(settings)),
        version=policies.version(manifest),
        stacking=[*policies.settings_of(manifest).stacking],
        pending=[*(policies.model_of(manifest, game.spec).pending or Pending())],
        rows=rows,
        side_by_side=rows if many else 1,
    )


def _facts(settings: Evaluation, name: str, game: Game, manifest: dict | None) -> dict:
    """How a game is played, whoever plays it."""
    options = world.options(settings, name, manifest)
    return {
        "environment": name,
        "rate_hz": game.spec.rate_hz,
        "delay": settings.delay_ticks(game.spec.rate_hz),
        "interaction": settings.inaction,
        "default_action": settings.default_action,
        "default_action_index": game.spec.default_action,
        "environment_kwargs": json.dumps(options["kwargs"], sort_keys=True),
        **{option: options[option] for option in ("sticky_actions", "noop_starts", "frame_skip", "press_frames")},
        "most_ticks": settings.max_ticks_per_episode,
    }


def _alike(facts: dict, policy: str) -> dict:
    """Of these facts, those of a row."""
    found = {name: facts[name] for name in judgement.ALIKE}
    return {**found, "delay": None} if policy == "noop" else found


def _summary(settings: Evaluation, manifest, facts, entries: list[Entry], seconds: float, complete: bool) -> dict:
    rows = [
        table.row(
            entry.environment,
            entry.episodes,
            policy=entry.policy,
            action_every=entry.action_every,
            epsilon=settings.epsilon if entry.policy == "checkpoint" else None,
            **_alike(facts[entry.environment], entry.policy),
        )
        for entry in entries
    ]
    ticks = sum(episode.ticks for entry in entries for episode in entry.episodes)
    about = ("environment", "tick", "updates", "network", "actions")
    alone = {entry.environment: entry.episodes for entry in entries}
    return {
        "complete": complete,
        "settings": settings.as_dict(),
        "checkpoint": None if manifest is None else {name: manifest.get(name) for name in about},
        "rows": rows,
        "together": table.together(alone) if complete and len(alone) == len(entries) else None,
        "interval": "95 % percentile bootstrap over episodes, pooled over seeds",
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
