"""A process's view of the run it is part of."""

from typing import NamedTuple

import numpy as np

from rtrl_jax.board.layout import Board
from rtrl_jax.board.ring import Observations
from rtrl_jax.drivers.assembly import Assembly, Process
from rtrl_jax.drivers.wall import now_ns
from rtrl_jax.workers import randomness

EXPLORATION, SAMPLING, LATENCY = 2, 3, 4  # purposes of random generators; 1 is the parameters' first values


class Place(NamedTuple):
    assembly: Assembly
    process: Process
    incarnation: int
    board: Board
    board_fd: int
    observations: Observations

    def generator(self, purpose: int, number: int = 0) -> np.random.Generator:
        """A random generator of its own for each purpose, worker, incarnation and session."""
        origin = [self.assembly.settings.seed, purpose, number, self.incarnation]
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

    @property
    def tau_m_ns(self) -> int:
        return round(1e9 / self.assembly.spec.rate_hz)

    def beat(self, step_ns: int = 0) -> None:
        """A sign of life. `step_ns`: how long the step before it took, so that the next one is not taken for a hang."""
        number = self.process.number
        self.board.heartbeat_ns[number] = now_ns()
        if step_ns > self.board.expected_ns[number]:
            self.board.expected_ns[number] = step_ns
