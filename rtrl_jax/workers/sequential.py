"""The sequential agent: inference and learning block each other in one process, as in a paused world; this world goes on.

`learn_first` is the order of Travnik et al. 2018 (learn, infer, act); otherwise infer, act, learn (paper section 5.1).
"""

from functools import partial

from rtrl_jax.workers.effects import HEAD, TRUNK, WHOLE, Infer, Learn, Sleep, Timed, WaitBell
from rtrl_jax.workers.inference import LOOK_AGAIN_NS
from rtrl_jax.workers.learner import record
from rtrl_jax.workers.mailbox import Features, in_two_parts
from rtrl_jax.workers.steps import Loop


class Sequential(Loop):
    """Acts, sees what came of it, and only then thinks again."""

    KEPT = ("obs_tick", "seen", "trunk", "told_tick")

    def __init__(
        self,
        mailbox,
        board,
        policy,
        learner,
        *,
        learn_first: bool,
        learn_every: int,
        per: str = "tick",
        start_ns: int,
        head=None,
        hold: int = 1,
    ):
        """Args:
        mailbox: of inference worker 0.
        learner: a `Learner`, or None for an agent that only acts.
        learn_every: ticks or decisions, as `per` says, for each update.
        head: as of `inference.Staggered`. What is under way is β, or the last action.
        hold: ticks that a decision acts for: from the last of them the next one is made.
        """
        self._mailbox, self._policy, self._learner, self._head = mailbox, policy, learner, head
        self._hold = hold
        self._observations, self._updates = board.observations, board.updates(0)
        self._learn_first, self._learn_every, self._per, self._start_ns = learn_first, learn_every, per, start_ns
        self.obs_tick = -1  # what it decides from, or has decided from
        self.seen = -1  # the last tick looked at for what came of that
        self.trunk: Timed | None = None  # features that a late head is still to decide with
        self.told_tick = -1  # the newest tick, as it begins

    def begin(self):
        return Sleep(self._start_ns), self.wake

    def wake(self, now: int):
        if self._observations.newest < 0:
            return WaitBell(now + LOOK_AGAIN_NS), self.wake
        return self.think(now)

    def think(self, now: int):
        return self._learn() if self._learn_first and self._learning_is_due() else self.infer(now)

    def infer(self, now: int):
        self.obs_tick = self._observations.newest
        if self._observations.over(self.obs_tick):  # nothing can act on an episode that has ended
            return WaitBell(now + LOOK_AGAIN_NS), self.infer
        return Infer(partial(self._policy, self.obs_tick), TRUNK if self._head else WHOLE), self.act

    def act(self, decided: Timed):
        if isinstance(decided.value, Features):
            self.trunk, self.told_tick = decided, self._observations.newest
            return Infer(partial(self._head, decided.value, self.obs_tick, self.told_tick), HEAD), self.act_late
        return self._acted(decided.end_ns, *decided)

    def act_late(self, head: Timed):
        return self._acted(head.end_ns, *in_two_parts(self.trunk, head, self.told_tick))

    def _acted(self, now: int, *decided):
        self.trunk = None
        self.seen = self._observations.newest
        self._mailbox.register(self.obs_tick, *decided)
        return self._learn() if not self._learn_first and self._learning_is_due() else self.look(now)

    def _learning_is_due(self) -> bool:
        if self._learner is None:
            return False
        return self._learner.due(self._observations.count(self._per), self._learn_every)

    def _learn(self):
        return Learn(self._learner.step), self.learned

    def learned(self, update: Timed):
        (found, applied), start, end = update
        self._learner.scheduled(self._learn_every)
        self._updates.append(record(0, found, applied, start, end, end, end))
        return self.infer(end) if self._learn_first else self.look(end)

    def give_up(self) -> None:
        self._step = self.think if self._learn_first else self.look

    def look(self, now: int):
        acted, self.seen = _look_for_action(self._observations, self.obs_tick, self.seen, self._hold)
        return self.think(now) if acted else (WaitBell(now + LOOK_AGAIN_NS), self.look)


def _look_for_action(observations, obs_tick: int, seen: int, hold: int) -> tuple[bool, int]:
    """Whether a tick after `seen` is the last of the decision from `obs_tick`, or shows that it can no longer act.

    Returns:
      (that, the last tick that need not be seen again).
    """
    first, records = observations.ticks.read(seen + 1)
    gone = first > seen + 1  # more ticks have passed than are kept: it has long acted
    acted, newest = records["obs_tick"] == obs_tick, first + len(records) - 1
    ended = records["terminated"] | records["truncated"]
    over = (records["episode_start"] > obs_tick).any() or (acted & ended).any()
    if gone or over or acted.sum() >= hold:
        return True, newest
    return False, first + int(acted.argmax()) - 1 if acted.any() else newest
