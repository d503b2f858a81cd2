"""The inference workers' loops: `staggered` for the paper's Algorithms 1 and 2 (and none), `ticketed` for ours.

A policy is a function from an observation's tick to a `Choice`; it is called inside `Infer`, whose duration is τ_θ.
"""

from contextlib import nullcontext
from functools import partial

from rtrl_jax.workers.effects import Infer, Sleep, WaitBell

# An exploratory action takes no time, but the environment process looks at every decision: at most 20 a tick from one
# worker, and 240 from all.
MOST_A_TICK, MOST_A_TICK_OF_ALL = 20, 240
LOOK_AGAIN_NS = 250_000_000  # a bell that never rings must not keep a worker from noticing the end of the run


def staggered(
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
    """Loops freely, but for the waits that the stagger algorithm asks for.

    Args:
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
    worker = mailbox.worker
    least_cycle_ns = round(max(1 / MOST_A_TICK, workers / MOST_A_TICK_OF_ALL) * tau_m_ns)
    now = yield Sleep(start_ns)
    while True:
        owed = algorithm.owed(worker)
        if owed > paid:
            now = yield Sleep(now + round((owed - paid) * 1e9))
            paid = owed
        while observations.newest < 0 or not mailbox.has_room():
            now = yield Sleep(now + tau_m_ns // 20)
        obs_tick = observations.newest
        choice, start, end = yield Infer(partial(policy, obs_tick))
        with lock():
            wait = algorithm.observe(worker, (end - start) / 1e9)
        earliest = max(end + round(wait * 1e9), start + least_cycle_ns)
        if earliest > end:
            yield Sleep(earliest)
        mailbox.register(obs_tick, choice, start, end)
        now = max(end, earliest)


def ticketed(mailbox, policy, after_ns: int = 0):
    """Answers one ticket after another. The environment process decides which observation to hand out, and when.

    Args: after_ns: how long after its ticket an answer is begun; 1 lets updates come first that are due at the same instant.
    """
    mailbox.open()
    now = 0
    while True:
        while (obs_tick := mailbox.ticket()) is None:
            now = yield WaitBell(now + LOOK_AGAIN_NS)
        if after_ns:
            yield Sleep(now + after_ns)
        choice, start, now = yield Infer(partial(policy, obs_tick))
        mailbox.register(obs_tick, choice, start, now)
        mailbox.answer_ticket()
