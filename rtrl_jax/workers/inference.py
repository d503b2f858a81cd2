"""The inference workers' loops: `staggered` for the paper's Algorithms 1 and 2 (and none), `ticketed` for ours.

A policy is a function from an observation's tick to a `Choice`; it is called inside `Infer`, whose duration is τ_θ. With a late
head it answers with `Features`, of which the head makes a `Choice` just before that is registered.
"""

from contextlib import nullcontext
from functools import partial

from rtrl_jax.workers.effects import HEAD, TRUNK, WHOLE, Infer, Sleep, Timed, WaitBell
from rtrl_jax.workers.mailbox import Features, in_two_parts
from rtrl_jax.workers.steps import Loop

# An exploratory action takes no time, but the environment process looks at every decision: at most 20 a tick from one
# worker, and 240 from all.
MOST_A_TICK, MOST_A_TICK_OF_ALL = 20, 240
LOOK_AGAIN_NS = 250_000_000  # a bell that never rings must not keep a worker from noticing the end of the run


class Staggered(Loop):
    """Loops freely, but for the waits that the stagger algorithm asks for."""

    KEPT = ("paid", "obs_tick", "decided", "earliest", "told_tick")

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
        head=None,
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
        head: (features, observation's tick, newest tick) -> Choice, if the policy answers with features.
        """
        self._mailbox, self._observations, self._policy, self._algorithm = mailbox, observations, policy, algorithm
        self._start_ns, self._tau_m_ns, self._lock, self._head = start_ns, tau_m_ns, lock, head
        self._least_cycle_ns = round(max(1 / MOST_A_TICK, workers / MOST_A_TICK_OF_ALL) * tau_m_ns)
        self.paid = paid
        self.obs_tick = -1  # of the decision that is being made, or held back
        self.decided: Timed | None = None  # that decision
        self.earliest = 0  # when it may be registered
        self.told_tick = -1  # the newest tick, as a late head begins

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
        return Infer(partial(self._policy, self.obs_tick), TRUNK if self._head else WHOLE), self.hold

    def hold(self, decided: Timed):
        self.decided = decided
        _, start, end = decided
        with self._lock():
            wait_s = self._algorithm.observe(self._mailbox.worker, (end - start) / 1e9)
        self.earliest = max(end + round(wait_s * 1e9), start + self._least_cycle_ns)
        return (Sleep(self.earliest), self.register) if self.earliest > end else self.register(end)

    def register(self, _now: int):
        if isinstance(self.decided.value, Features):
            self.told_tick = self._observations.newest
            return Infer(
                partial(self._head, self.decided.value, self.obs_tick, self.told_tick), HEAD
            ), self.register_late
        self._mailbox.register(self.obs_tick, *self.decided)
        return self.pay(self.earliest)

    def register_late(self, head: Timed):
        self._mailbox.register(self.obs_tick, *in_two_parts(self.decided, head, self.told_tick))
        return self.pay(head.end_ns)


class Ticketed(Loop):
    """Answers one ticket after another. The environment process decides which observation to hand out, and when.

    With a late head: from m it decides what acts in tick m + D, and the head waits for tick m + D − 1, in which the environment
    rings; or it does not wait, once the episode is over.
    """

    KEPT = ("trunk", "told_tick")

    def __init__(self, mailbox, policy, after_ns: int = 0, *, observations=None, head=None):
        """Args:
        after_ns: how long after its ticket an answer is begun; 1 lets updates that are due at once come first.
        observations, head: as of `Staggered`; without a late head neither is needed.
        """
        self._mailbox, self._policy, self._after_ns = mailbox, policy, after_ns
        self._observations, self._head = observations, head
        self.trunk: Timed | None = None  # features that the head is still to make an answer of
        self.told_tick = -1  # the newest tick, as it begins

    def begin(self):
        self._mailbox.open()
        return self.look(0)

    def look(self, now: int):
        if self._mailbox.ticket() is None:
            return WaitBell(now + LOOK_AGAIN_NS), self.look
        return (Sleep(now + self._after_ns), self.infer) if self._after_ns else self.infer(now)

    def infer(self, _now: int):
        return Infer(partial(self._policy, self._mailbox.ticket()), TRUNK if self._head else WHOLE), self.answer

    def answer(self, decided: Timed):
        if isinstance(decided.value, Features):
            self.trunk = decided
            return self.wait(decided.end_ns)
        return self._answered(decided.end_ns, *decided)

    def wait(self, now: int):
        """For the last tick before the answer acts."""
        obs_tick, newest = self._mailbox.ticket(), self._observations.newest
        if not self._is_time(obs_tick, newest):
            return WaitBell(now + LOOK_AGAIN_NS), self.wait
        self.told_tick = newest
        return Infer(partial(self._head, self.trunk.value, obs_tick, newest), HEAD), self.answer_late

    def answer_late(self, head: Timed):
        return self._answered(head.end_ns, *in_two_parts(self.trunk, head, self.told_tick))

    def _answered(self, now: int, *decided):
        self.trunk = None
        self._mailbox.register(self._mailbox.ticket(), *decided)
        self._mailbox.answer_ticket()
        return self.look(now)

    def _is_time(self, obs_tick: int, newest: int) -> bool:
        seen = self._observations
        gone = seen.episode_start(newest) > obs_tick or seen.over(newest)
        return gone or newest + 1 >= obs_tick + seen.playout(newest)
