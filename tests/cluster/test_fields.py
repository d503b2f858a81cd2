"""Two boards kept in step: what one says the other hears, field by field, in any order of events."""

import asyncio

import numpy as np
import pytest

from rtrl_jax import stagger
from rtrl_jax.actions import Vector
from rtrl_jax.board import segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import RUNNING, Board, size
from rtrl_jax.board.records import Decision, Tick
from rtrl_jax.cluster import wire
from rtrl_jax.cluster.announcing import Distant
from rtrl_jax.cluster.fields import Follower, Incoming, Outgoing, types_from_crew, types_to_crew
from rtrl_jax.cluster.node import crew_assembly
from rtrl_jax.core.assembly import by_cores, lay_board
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings
from rtrl_jax.stagger import announcements
from rtrl_jax.workers.mailbox import Choice, Mailbox

SPEC = Spec((2, 2, 1), "uint8", 6, 0, 60.0, 1e-5)
CREW = [2, 3]  # the crew's workers
OFFSET = 5_000_000_000


class Pair:
    """The environment's board, that of crew 0 with workers 2 and 3 of four, and what goes between them, by the wire's format."""

    def __init__(self, spec=SPEC, **settings):
        settings = Settings(cores="0", learner_workers="1", **settings)
        numbers = {"inference_workers": 4, "learner_workers": 1, "capacity": 4096, "transitions": 100}
        processes = by_cores(settings, 4, 1, crews=(2,))
        model = Model(settings, spec, "nature", 1.0)
        self.assembly = lay_board(model, processes, [np.zeros(3, np.float32)], **numbers)
        self.crew = self.assembly.crew(0)
        self.home = self._board(self.assembly)
        self.announced = []
        self.outgoing = Outgoing(self.home, self.assembly, self.crew)
        self.incoming = Incoming(self.home, self.crew, self._announce)
        self.enter()

    @staticmethod
    def _board(assembly):
        return Board(assembly.dimensions, segment.private(size(assembly.dimensions)))

    def _announce(self, worker, tau_s):
        self.announced.append((worker, tau_s))
        return tau_s / 2

    def enter(self):
        """A new crew, with a board of its own."""
        self.away = self._board(crew_assembly(self.assembly, 0, [0, 1, 2]))
        self.follower = Follower(self.away, self.crew)
        self.connect()

    def connect(self):
        self.outgoing = Outgoing(self.home, self.assembly, self.crew)
        values, arrays = sent(*self.outgoing.everything(), types_to_crew(self.assembly))
        self.follower.enter(values, arrays, start_ns=int(self.home.start_ns[0]) + OFFSET)

    def tell(self):
        values, arrays = sent(*self.outgoing.news(), types_to_crew(self.assembly))
        return self.follower.follow(values, arrays, start_ns=int(self.home.start_ns[0]) + OFFSET)

    def hear(self, now_ns=10**12):
        _, arrays = sent({}, self.follower.says(), types_from_crew(self.assembly))
        return self.incoming.hear(arrays, OFFSET, now_ns)

    def tick(self, action=0):
        tick = self.home.observations.newest + 1
        row = Tick(**{name: 0 for name in Tick._fields})._replace(
            tick=tick, episode_start=tick - tick % 10, action=action
        )
        self.home.observations.publish(np.full((2, 2, 1), tick % 256, np.uint8), row)


def sent(values, arrays, types):
    """As it arrives at the other end of a connection."""

    async def through():
        stream = asyncio.StreamReader()
        stream.feed_data(wire.pack(values, arrays))
        stream.feed_eof()
        return await wire.receive(stream.readexactly, types)

    return asyncio.run(through())


def test_a_crew_has_neither_replay_nor_learners_and_its_cores_from_the_last_on():
    pair = Pair()
    assembly = crew_assembly(pair.assembly, 0, [0, 1, 2])
    assert [process.core for process in assembly.crew(0)] == [2, 1]
    assert size(assembly.dimensions) < size(pair.assembly.dimensions)
    assert len(pair.away.kept_frames) == len(pair.away.act_rows) == pair.away.targets.size == 0


def test_observations_come_in_order_each_once_and_those_that_were_missed_are_left_out():
    pair = Pair(frame_stack=4)
    for _ in range(3):
        pair.tick()
    pair.tell()
    pair.tick()
    assert len(pair.outgoing.news()[1]["frames"]) == 1
    pair.connect()
    pair.tell()
    there = pair.away.observations
    assert there.newest == 3
    assert there.frames[:4, 0, 0, 0].tolist() == [0, 1, 2, 3]
    for _ in range(1000):  # the link has stalled
        pair.tick()
    pair.tell()
    assert there.newest == 1003
    stacking = pair.assembly.settings.stacking
    np.testing.assert_array_equal(there.stack(1003, stacking), pair.home.observations.stack(1003, stacking))


def test_a_ticket_of_before_a_link_stalled_comes_with_its_observation():
    pair = Pair(frame_stack=4)
    pair.tick()
    pair.tell()
    for tick in range(1, 400):
        pair.tick()
        if tick == 9:
            pair.home.ticket_obs[3], pair.home.ticket_count[3] = 9, 1
    pair.tell()
    stacking = pair.assembly.settings.stacking
    np.testing.assert_array_equal(pair.away.observations.stack(9, stacking)[0, 0], [6, 7, 8, 9])
    pair.tick()
    pair.home.answered[3] = 1
    for _ in range(400):
        pair.tick()
    assert len(pair.outgoing.news()[1]["frames"]) < 100, "and is not told for ever"


def test_nobody_sees_an_observation_after_a_gap_before_all_that_are_stacked_on_it_are_there(monkeypatch):
    pair = Pair(frame_stack=4)
    for _ in range(300):
        pair.tick()
    news, seen = pair.outgoing.news(), []
    head, stacking = pair.away.tick_head, pair.assembly.settings.stacking

    class Watched(np.ndarray):
        def __setitem__(self, place, value):
            np.ndarray.__setitem__(self, place, value)
            newest = pair.away.observations.newest
            seen.append((newest, pair.away.observations.stack(newest, stacking)[0, 0].tolist()))

    pair.away.tick_head = head.view(Watched)
    pair.away.observations.ticks._head = pair.away.tick_head
    pair.follower.follow(*sent(*news, types_to_crew(pair.assembly)), 0)
    assert seen
    for newest, stack in seen:
        assert stack == pair.home.observations.stack(newest, stacking)[0, 0].tolist(), f"of tick {newest}"


def test_actions_of_several_numbers_cross_both_ways():
    pair = Pair(SPEC._replace(actions=Vector((-1.0, -2.0), (1.0, 2.0))), stagger="none")
    pair.tick(action=[0.5, -1.5])
    pair.tell()
    assert pair.away.tick_rows[0]["action"].tolist() == [0.5, -1.5]
    Mailbox(pair.away, 2, lambda: 0).register(0, Choice(np.array([0.25, 2.0]), True, 0), OFFSET, OFFSET)
    pair.hear()
    assert pair.home.decisions(2).read(0)[1]["action"].tolist() == [[0.25, 2.0]]


def test_a_ticket_wakes_its_process_and_is_answered_in_the_words_of_the_board():
    pair = Pair()
    mailbox = Mailbox(pair.away, 3, lambda: 0)
    mailbox.open()
    pair.hear()
    assert pair.home.idle.tolist() == [0, 0, 0, 1]
    pair.tick()
    pair.home.ticket_obs[3] = 0
    pair.home.ticket_count[3] = 1
    assert pair.tell() == {pair.assembly.process_of_worker[3]}
    assert pair.follower.holding() == {pair.assembly.process_of_worker[3]}
    assert pair.tell() == set()
    assert mailbox.ticket() == 0
    mailbox.register(0, Choice(5, True, 7), OFFSET + 100, OFFSET + 200)
    mailbox.answer_ticket()
    pair.hear(now_ns=1000)
    (decision,) = pair.home.decisions(3).read(0)[1]
    assert pair.home.answered[3] == 1
    assert (decision["action"], decision["version"]) == (5, 7)
    assert (decision["start_ns"], decision["end_ns"], decision["registered_ns"]) == (100, 200, 1000)
    pair.hear()
    assert pair.home.decision_head[3] == 1, "told twice"
    pair.home.decision_taken[3] = 1
    pair.tell()
    assert pair.away.decision_taken[3] == 1


def test_no_instant_lies_after_it_was_heard_however_wrong_the_offset():
    pair = Pair()
    Mailbox(pair.away, 2, lambda: 0).register(0, Choice(1, True, 0), OFFSET + 2000, OFFSET + 3000)
    pair.hear(now_ns=2500)
    (decision,) = pair.home.decisions(2).read(0)[1]
    assert (decision["start_ns"], decision["end_ns"], decision["registered_ns"]) == (2000, 2500, 2500)


def test_decisions_that_a_lost_connection_has_taken_with_it_are_told_again():
    pair = Pair()
    mailbox = Mailbox(pair.away, 2, lambda: 0)
    for action in (1, 2):
        mailbox.register(0, Choice(action, True, 0), OFFSET, OFFSET)
    pair.follower.says()  # which never arrives
    pair.connect()
    pair.hear()
    assert pair.home.decisions(2).read(0)[1]["action"].tolist() == [1, 2]


def test_a_new_crew_goes_on_with_the_numbers_and_the_random_states_of_the_one_before():
    pair = Pair()
    Mailbox(pair.away, 2, lambda: 0).register(0, Choice(1, True, 0), OFFSET, OFFSET)
    pair.away.random_states[2] = np.arange(6)
    pair.away.idle[2] = 1
    pair.hear()
    pair.home.ticket_count[2] = 4  # one was never answered
    pair.home.ready[pair.crew[0].number] = 1
    pair.incoming.gone()
    assert not pair.home.idle.any()
    assert not pair.home.ready.any(), "the supervisor would not see that they have gone"
    pair.enter()
    assert pair.away.random_states[2].tolist() == [0, 1, 2, 3, 4, 5]
    mailbox = Mailbox(pair.away, 2, lambda: 0)
    mailbox.open()
    assert mailbox.ticket() is None
    mailbox.register(9, Choice(3, True, 0), OFFSET, OFFSET)
    pair.hear()
    assert pair.home.decisions(2).read(0)[1]["action"].tolist() == [1, 3]
    assert pair.home.answered[2] == 4


def test_the_start_is_told_by_the_clock_of_the_crew_and_wakes_all():
    pair = Pair()
    pair.home.start_ns[0] = 1234
    pair.home.control[0] = RUNNING
    assert pair.tell() == {process.number for process in pair.crew}
    assert pair.away.start_ns[0] == 1234 + OFFSET
    assert pair.away.control[0] == RUNNING


def test_warm_up_times_come_with_the_readiness_that_promises_them():
    pair = Pair()
    pair.hear()
    number = pair.crew[0].number
    pair.away.warm_up_ns[2] = 7.0
    pair.away.ready[number] = 1
    pair.hear()
    assert pair.home.ready.nonzero()[0].tolist() == [number]
    assert (pair.home.warm_up_ns[2] == 7).all()


def test_an_inference_time_is_announced_once_and_its_answer_comes_with_the_table():
    pair = Pair(stagger="max_time")
    pair.away.tau_told[3] = 1, 0.06
    assert pair.hear()
    assert not pair.hear()
    assert pair.announced == [(3, 0.06)]
    pair.home.stagger[3, 0] = 0.06
    assert pair.tell() == {pair.assembly.process_of_worker[3]}
    assert pair.away.tau_answer[3].tolist() == [1, 0.03]
    np.testing.assert_array_equal(pair.away.stagger, pair.home.stagger)
    pair.enter()
    assert pair.away.tau_told[3, 0] == 1, "a new crew counts on"


def test_decisions_of_another_crews_workers_are_refused():
    pair = Pair()
    arrays = pair.follower.says()
    arrays["decisions"] = np.zeros(1, arrays["decisions"].dtype)  # of worker 0
    with pytest.raises(ValueError, match="worker 0 is not of this crew"):
        pair.incoming.hear(arrays, 0, 0)


def test_every_column_of_a_decision_that_is_an_instant_is_translated():
    assert {name for name in Decision._fields if name.endswith("_ns")} == {
        *("start_ns", "end_ns", "registered_ns", "trunk_end_ns", "head_start_ns")
    }


@pytest.mark.parametrize("first", [2, 3])
def test_workers_on_two_machines_that_finish_at_once_raise_the_estimate_once(first, monkeypatch):
    """Each has a copy of the table in which the other has announced nothing yet."""
    pair = Pair(stagger="max_time")
    table = stagger.make("max_time", pair.home.stagger)
    pair.incoming = Incoming(pair.home, pair.crew, table.observe)
    there = stagger.make("max_time", pair.away.stagger)
    bell = Bell(pair.away.bell[1])
    table.observe(0, 0.058)  # beside the environment, and the crew has not heard of it
    assert announcements.estimate(pair.away.stagger) == 0

    def told():
        pair.hear()
        pair.tell()

    distant = Distant(there, pair.away, bell, told)
    assert distant.observe(first, 0.06) == 0
    assert distant.observe(5 - first, 0.05) == pytest.approx(0.01)
    for board in (pair.home, pair.away):
        assert announcements.estimate(board.stagger) == pytest.approx(0.06)
    assert distant.owed(3) == table.owed(3) > 0
    monkeypatch.setattr("rtrl_jax.cluster.announcing.LONGEST_WAIT_S", 0.05)
    assert Distant(there, pair.away, bell, lambda: None).observe(2, 0.01) == 0, (
        "a network that stalls holds nobody for long"
    )
