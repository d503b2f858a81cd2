"""The sequential agent: inference and learning block each other in one process, as in a paused world; this world goes on.

`learn_first` is the order of Travnik et al. 2018 (learn, infer, act); otherwise infer, act, learn (paper section 5.1).
"""

from functools import partial

from rtrl_jax.workers.effects import Infer, Learn, Sleep, WaitBell
from rtrl_jax.workers.inference import LOOK_AGAIN_NS
from rtrl_jax.workers.learner import record


def sequential(
    mailbox, board, policy, learner, *, learn_first: bool, learn_every: int, per: str = "tick", start_ns: int
):
    """Acts, sees what came of it, and only then thinks again.

    Args:
      mailbox: of inference worker 0.
      learner: a `Learner`, or None for an agent that only acts.
      learn_every: ticks or decisions, as `per` says, for each update.
    """

    observations, updates = board.observations, board.updates(0)

    def learn():
        if learner is not None and learner.due(observations.count(per), learn_every):
            (found, applied), start, end = yield Learn(learner.step)
            learner.scheduled(learn_every)
            updates.append(record(0, found, applied, start, end, end, end))

    now = yield Sleep(start_ns)
    while observations.newest < 0:
        now = yield WaitBell(now + LOOK_AGAIN_NS)
    while True:
        if learn_first:
            yield from learn()
        while observations.over(observations.newest):  # nothing can act on an episode that has ended
            now = yield WaitBell(now + LOOK_AGAIN_NS)
        obs_tick = observations.newest
        choice, start, now = yield Infer(partial(policy, obs_tick))
        seen = observations.newest
        mailbox.register(obs_tick, choice, start, now)
        if not learn_first:
            yield from learn()
        acted = False
        while not acted:
            acted, seen = _look_for_action(observations, obs_tick, seen)
            if not acted:
                now = yield WaitBell(now + LOOK_AGAIN_NS)


def _look_for_action(observations, obs_tick: int, seen: int) -> tuple[bool, int]:
    """Whether a tick after `seen` shows the decision from `obs_tick`, or that it can no longer act; and the last tick seen."""
    first, records = observations.ticks.read(seen + 1)
    gone = first > seen + 1  # more ticks have passed than are kept: it has long acted
    over = (records["obs_tick"] == obs_tick) | (records["episode_start"] > obs_tick)
    return gone or bool(over.any()), first + len(records) - 1
