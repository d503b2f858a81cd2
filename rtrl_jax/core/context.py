"""A process's view of the run it is part of."""

import time
from typing import NamedTuple

import numpy as np

from rtrl_jax.board import lifecycle
from rtrl_jax.board.layout import Board
from rtrl_jax.core.assembly import Assembly, Process
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings
from rtrl_jax.workers import randomness

EXPLORATION, SAMPLING, LATENCY = 2, 3, 4  # purposes of random generators; 1 is the parameters' first values


class Context(NamedTuple):
    assembly: Assembly
    process: Process
    board: Board
    incarnation: int = 0  # 0 for the first process in that place, 1 for its first replacement
    board_fd: int = -1  # the board's file; none in virtual time

    @property
    def model(self) -> Model:
        return self.assembly.model

    @property
    def settings(self) -> Settings:
        return self.assembly.model.settings

    @property
    def spec(self) -> Spec:
        return self.assembly.model.spec

    @property
    def tau_m_ns(self) -> int:
        return round(1e9 / self.spec.rate_hz)

    def generator(self, purpose: int, number: int = 0) -> np.random.Generator:
        """A random generator of its own for each purpose, worker, incarnation and session."""
        origin = [self.settings.seed, purpose, number, self.incarnation]
        return np.random.default_rng([*origin, self.assembly.session] if self.assembly.session else origin)

    def lasting_generator(self, purpose: int, number: int):
        """A generator that goes on where the last holder of that place left off, and a function that notes how far it is.

        The note is on the board, where a checkpoint finds it: exploration by worker, sampling by learner.
        """
        row = number + (self.assembly.inference_workers if purpose == SAMPLING else 0)
        words, generator = self.board.random_states[row], self.generator(purpose, number)
        if words.any():
            randomness.restore(generator, words)
        return generator, lambda: randomness.note(generator, words)

    def beat(self, step_ns: int = 0) -> None:
        """A sign of life. See `lifecycle.beat`."""
        lifecycle.beat(self.board, self.process.number, time.monotonic_ns(), step_ns)
