"""The inference workers' loops: `staggered` for the paper's Algorithms 1 and 2 (and none), `ticketed` for ours.

A policy is a function from an observation's tick to a `Choice`; it is called inside `Infer`, whose duration is τ_θ.
"""

from contextlib import nullcontext
from functools import partial

from rtrl_jax.workers.effects import Infer, Sleep, Timed, WaitBell
from rtrl_jax.workers.steps import Loop

# An exploratory action takes no time, but the environment process looks at every decision: at most 20 a tick from one
# worker, and 240 from all.
MOST_A_TICK, MOST_A_TICK_OF_ALL = 20, 240
LOOK_AGAIN_NS = 250_000_000  # a bell that never rings must not keep a worker from noticing the end of the run


class Staggered(Loop):
    """Loops freely, but for the waits that the stagger algorithm asks for."""

    KEPT = ("paid", "obs_tick", "decided", "earliest")

    def __init__(
        self,
        mailbox,
        observations,
        policy,
        algorithm,
        *,
        workers: int,
        start_ns: int,
        tau_m_ns: int,
        lock=nullcontext,
        paid: float = 0.0,
    ):
        """Args:
        mailbox: this worker's `Mailbox`.
        observations: the board's `Observations`.
        policy: observation tick -> Choice.
        algorithm: one of `rtrl_jax.stagger`, in seconds.
        workers: N_I.
        start_ns: when all workers start.
        tau_m_ns: length of a tick.
        lock: context manager that serialises announcements between processes. Two workers that finish in the same
          microsecond would otherwise both announce the same rise, and the phases of all would stay as they were.
        paid: what it need not wait of all that has been announced, in seconds. A replacement owes nothing of before.
        """
        self._mailbox, self._observations, self._policy, self._algorithm = mailbox, observations, policy, algorithm
        self._start_ns, self._tau_m_ns, self._lock = start_ns, tau_m_ns, lock
        self._least_cycle_ns = round(max(1 / MOST_A_TICK, workers / MOST_A_TICK_OF_ALL) * tau_m_ns)
        self.paid = paid
        self.obs_tick = -1  # of the decision that is being made, or held back
        self.decided: Timed | None = None  # that decision
        self.earliest = 0  # when it may be registered

    def begin(self):
        return Sleep(self._start_ns), self.pay

    def pay(self, now: int):
        owed = self._algorithm.owed(self._mailbox.worker)
        if owed <= self.paid:
            return self.look(now)
        wait_s, self.paid = owed - self.paid, owed
        return Sleep(now + round(wait_s * 1e9)), self.look

    def look(self, now: int):
        if self._observations.newest < 0 or not self._mailbox.has_room():
            return Sleep(now + self._tau_m_ns // 20), self.look
        self.obs_tick = self._observations.newest
        return Infer(partial(self._policy, self.obs_tick)), self.hold

    def hold(self, decided: Timed):
        self.decided = decided
        _, start, end = decided
        with self._lock():
            wait_s = self._algorithm.observe(self._mailbox.worker, (end - start) / 1e9)
        self.earliest = max(end + round(wait_s * 1e9), start + self._least_cycle_ns)
        return (Sleep(self.earliest), self.register) if self.earliest > end else self.register(end)

    def register(self, _now: int):
        self._mailbox.register(self.obs_tick, *self.decided)
        return self.pay(self.earliest)


class Ticketed(Loop):
    """Answers one ticket after another. The environment process decides which observation to hand out, and when."""

    def __init__(self, mailbox, policy, after_ns: int = 0):
        """Args: after_ns: how long after its ticket an answer is begun; 1 lets updates that are due at once come first."""
        self._mailbox, self._policy, self._after_ns = mailbox, policy, after_ns

    def begin(self):
        self._mailbox.open()
        return self.look(0)

    def look(self, now: int):
        if self._mailbox.ticket() is None:
            return WaitBell(now + LOOK_AGAIN_NS), self.look
        return (Sleep(now + self._after_ns), self.infer) if self._after_ns else self.infer(now)

    def infer(self, _now: int):
        return Infer(partial(self._policy, self._mailbox.ticket())), self.answer

    def answer(self, decided: Timed):
        self._mailbox.register(self._mailbox.ticket(), *decided)
        self._mailbox.answer_ticket()
        return self.look(decided.end_ns)
