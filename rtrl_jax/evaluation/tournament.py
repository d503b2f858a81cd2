"""All open-loop controls of a game, played until the best is known, and then that one on fresh episodes.

They have the world, the delay and the inaction in common, and those of a round play the same episodes.
"""

import contextlib
from collections.abc import Callable, Generator, Sequence

import numpy as np

from rtrl_jax.evaluation import controls, scores
from rtrl_jax.evaluation.controls import Control
from rtrl_jax.evaluation.episodes import Episode, Job

FRESH = "fresh"  # what the last round is called


class Tournament:
    """Of one game. `play` does everything; what came of it is in `played`, by round and control."""

    def __init__(self, entered: Sequence[Control], encounters: int, seeds: Sequence[int], episodes: int):
        """Args:
        entered: with the three `controls.baselines`, which are played in the last round only.
        seeds, episodes: of the last round: so many with each seed. The other rounds have a seed of their own.
        """
        self.entered, self._encounters, self._seeds, self._episodes = entered, encounters, seeds, episodes
        self.complete = False
        self.played: dict[tuple[str, int], list[Episode]] = {}  # by name of the round and place of the control

    def play(self, play: Callable[[list[Job], str], Generator[Episode]]) -> None:
        """Args: play: (jobs, what the round is called) -> their episodes, in any order."""
        chosen, seed = controls.first_round(self.entered, self._encounters), max(self._seeds) + 1
        returns = {place: [] for place in chosen.controls}
        rounds = 0
        while len(chosen.controls) > 1:
            rounds += 1
            jobs = [Job(seed, number, place) for number in chosen.numbers for place in chosen.controls]
            self._take(play, jobs, f"round {rounds}")
            for place in chosen.controls:
                returns[place] += [one.episode_return for one in self.played[f"round {rounds}", place]]
            chosen = controls.next_round(chosen, returns, self._encounters)
        last = [*chosen.controls, *(place for place, one in enumerate(self.entered) if not one.pattern)]
        jobs = [Job(seed, number, place) for seed in self._seeds for number in range(self._episodes) for place in last]
        self._take(play, jobs, FRESH)
        self.complete = True

    def _take(self, play, jobs: list[Job], name: str) -> None:
        with contextlib.closing(play(jobs, name)) as finished:
            for episode in finished:
                self.played.setdefault((name, episode.player), []).append(episode)

    def last_round(self) -> list[tuple[Control, list[Episode]]]:
        """The chosen control, random play and doing nothing, on fresh episodes, the best first. As far as it has come."""
        found = [(self.entered[place], played) for (name, place), played in self.played.items() if name == FRESH]
        return sorted(found, key=lambda pair: -np.mean([episode.episode_return for episode in pair[1]]))

    def table(self) -> list[dict]:
        """A row for each control in each round that it was in; those of fresh episodes only once all are played."""
        rows = []
        for (name, place), played in self.played.items():
            if name == FRESH and not self.complete:
                continue
            returns, control = np.array([episode.episode_return for episode in played]), self.entered[place]
            low, high = scores.interval([returns], scores.mean)
            facts = {"round": name, "policy": control.name, "action_every": control.hold, "episodes": len(played)}
            rows.append({**facts, "mean": float(returns.mean()), "mean_low": low, "mean_high": high})
        rounds = list(dict.fromkeys(row["round"] for row in rows))
        return sorted(
            rows, key=lambda row: (rounds.index(row["round"]), -row["mean"], row["policy"], row["action_every"])
        )
