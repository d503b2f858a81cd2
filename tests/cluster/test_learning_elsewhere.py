"""What learners on another machine need and tell: the replay in order, whatever is lost on the way, and whole states."""

import asyncio
import socket
from contextlib import nullcontext

import numpy as np
import pytest

from rtrl_jax.board import segment
from rtrl_jax.board.layout import Board, size
from rtrl_jax.board.records import Tick
from rtrl_jax.board.snapshots import Publisher
from rtrl_jax.checkpoints.writer import Checkpointer
from rtrl_jax.cluster import stream, training, wire
from rtrl_jax.cluster.fields import Follower, Incoming, Outgoing
from rtrl_jax.cluster.node import crew_assembly
from rtrl_jax.core.assembly import by_cores, lay_board
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.sum_tree import SumTree
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.settings import Settings
from rtrl_jax.workers.learner import NOT_BEGUN, Applied, Figures, Gradients, record

SPEC = Spec((2, 2, 1), "uint8", 6, 0, 60.0, 1e-5)
OFFSET = 5_000_000_000
SHAPES = [np.zeros(3, np.float32)]
EPISODE = 50
NAMES = ("frames", "next_frames")


class Pair:
    """The environment's board and that of crew 0, which has both learners."""

    def __init__(self, transitions=500, kept_frames=600, **settings):
        settings = Settings(
            cores="0", learner_workers="2", frame_stack=2, cluster="auto", learners_on="auto", **settings
        )
        numbers = {"inference_workers": 1, "learner_workers": 2, "capacity": 4096}
        processes = by_cores(settings, 1, 2, crews=(0,), learners_crew=0)
        model = Model(settings, SPEC, "nature", 1.0)
        numbers |= {"transitions": transitions, "kept_frames": kept_frames}
        self.assembly = lay_board(model, processes, SHAPES, (), SHAPES, **numbers)
        self.home, self.stacking = self._board(), settings.stacking
        self.keeper, self.made = Keeper(self.home, self.stacking), {}
        self._publisher(self.home).publish(SHAPES, 0, SHAPES, target=True)
        self.enter()

    def _board(self):
        found = Board(self.assembly.dimensions, segment.private(size(self.assembly.dimensions)))
        found.latest[0], found.due_at[0] = -1, NOT_BEGUN
        return found

    def _publisher(self, board):
        return Publisher(board, self.assembly.leaves, self.assembly.optimiser_leaves)

    def enter(self):
        """A machine with nothing on it."""
        self.away = self._board()
        self.connect()

    def connect(self):
        self.sink = stream.Sink(self.away)
        self.source = stream.Source(self.home, *self.sink.heads)

    def ticks(self, count):
        """In each of which a decision from the observation before acts."""
        for _ in range(count):
            tick = self.home.observations.newest + 1
            row = Tick(**{name: 0 for name in Tick._fields})._replace(
                tick=tick,
                episode_start=tick - tick % EPISODE,
                obs_tick=max(tick - 1, tick - tick % EPISODE),
                reward=float(tick),
                action=tick % 6,
                truncated=tick % EPISODE == EPISODE - 1,
            )
            self.home.observations.publish(np.full((2, 2, 1), tick % 251, np.uint8), row)
            before = self.home.acts.head
            self.keeper.tick(row)
            for number in range(before, self.home.acts.head):
                act = self.home.acts.rows(np.array([number]))
                self.made[number] = act, [self.home.acts.frames(act[name]) for name in NAMES]

    def tell(self, most=None):
        count = 0
        while count != most and (found := self.source.portion()) is not None:
            self.sink.take(*sent(*found, stream.types(self.home)))
            check(self)
            count += 1

    def learn(self, version, learner=0):
        """An update on the other machine, all of whose numbers are its version."""
        values = [np.full(3, version, np.float32)]
        assert self._publisher(self.away).publish(values, version, values, target=version % 10 == 0)
        figures = Gradients(None, Figures(version, 0, 0, 0), version - 1, None, None)
        update = record(learner, figures, Applied(version - 1, 0.0), *(OFFSET + version for _ in range(4)))
        self.away.updates(learner).append(update)
        self.away.turn[0], self.away.due_at[0] = version, 4 * version

    def tell_parameters(self):
        slot = int(self.away.latest[0])
        version = int(self.away.slot_version[slot])
        return through(
            lambda link: training.send_parameters(link, self.away, version, self.away.slots[slot]), self.home
        )

    def tell_state(self, wish):
        state = training.state(self.away, int(self.away.latest[0]))
        return through(lambda link: training.send(link, state, wish), self.home)

    def begin(self):
        state = training.state(self.home, int(self.home.latest[0]))
        return through(lambda link: training.send(link, state, training.BEGINNING), self.away, draws=True)


def sent(values, arrays, types):
    async def over():
        reader = asyncio.StreamReader()
        reader.feed_data(wire.pack(values, arrays))
        reader.feed_eof()
        return await wire.receive(reader.readexactly, types)

    return asyncio.run(over())


def through(send, board, draws=False):
    """What is sent on one end of a connection is received on the other, onto the board."""

    async def both():
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
        with ends[0], ends[1]:
            async with asyncio.timeout(5):
                _, found = await asyncio.gather(send(ends[0]), training.receive(ends[1], board, draws))
            return found

    return asyncio.run(both())


def replay_of(board):
    found = UniformReplay(board.acts, Horizon(0.9))
    found.ingest()
    return found


def check(pair):
    """Whatever can be learned from there was made here, and all that it names. Returns the number of the first."""
    acts, numbers = pair.away.acts, np.arange(pair.away.acts.first, pair.away.acts.head)
    there = numbers[acts.survive(numbers, acts.rows(numbers))]
    for number in there.tolist():
        row, frames = acts.rows(np.array([number])), [acts.frames(acts.rows(np.array([number]))[n]) for n in NAMES]
        np.testing.assert_array_equal(row, pair.made[number][0])
        np.testing.assert_array_equal(frames, pair.made[number][1])
    return int(there[0]) if len(there) else acts.head


def test_the_replay_there_becomes_the_replay_here():
    pair = Pair()
    for count in (1, 30, 300):
        pair.ticks(count)
        pair.tell()
        assert pair.away.acts.head == pair.home.acts.head
        assert pair.away.kept.head == pair.home.kept.head
    assert check(pair) == pair.home.acts.first
    assert len(replay_of(pair.away)) == len(replay_of(pair.home)) > 200


def test_a_machine_that_comes_in_late_or_again_is_told_what_there_is(monkeypatch):
    monkeypatch.setattr(stream, "MARGIN", 10)
    pair = Pair()
    pair.ticks(2000)  # both rings have gone round
    pair.tell()
    left_out = int(pair.away.act_first[0])
    assert check(pair) <= pair.home.acts.first + 12
    pair.ticks(20)
    pair.connect()  # the connection was lost
    told = pair.source.portion()
    assert len(told[1]["frames"]) < 50, "what is there already is told again"
    pair.sink.take(*sent(*told, stream.types(pair.home)))
    pair.tell()
    assert pair.away.act_first[0] == left_out, "what is there is given up"
    pair.enter()
    pair.tell()
    assert check(pair) <= pair.home.acts.first + 12


def test_acts_whose_frames_were_never_told_are_left_out(monkeypatch):
    """As where a run is resumed without its replay: then nobody knows which of the frames an act to come will name."""
    monkeypatch.setattr(stream, "RECENT", 1)
    pair = Pair()
    pair.ticks(90)  # in the middle of an episode
    pair.home.act_first[0] = pair.home.acts.head
    pair.connect()
    pair.ticks(30)
    pair.tell()
    assert pair.home.acts.first < check(pair) < pair.home.acts.first + 4
    assert pair.away.acts.first == check(pair), "rows that never came are taken for acts"


def test_what_is_told_twice_is_taken_once():
    pair = Pair()
    pair.ticks(60)
    told = [sent(*pair.source.portion(), stream.types(pair.home)) for _ in range(2)]
    for message in (*told, *told):
        pair.sink.take(*message)
    assert check(pair) == 0
    assert (pair.away.acts.head, pair.away.kept.head) == (pair.home.acts.head, pair.home.kept.head)


@pytest.mark.parametrize(("told_before", "ticks"), [(1, 1100), (10, 400), (None, 1100)])  # in frames, in acts, all
def test_what_was_overwritten_before_it_could_be_told_is_left_out_and_nothing_else_is_wrong(
    told_before, ticks, monkeypatch
):
    monkeypatch.setattr(stream, "MARGIN", 10)
    monkeypatch.setattr(stream, "AT_ONCE_BYTES", 512)  # many portions
    pair = Pair()
    pair.ticks(300)
    pair.tell(told_before)
    pair.ticks(ticks)  # while the link stalled
    pair.tell()
    assert pair.away.acts.head == pair.home.acts.head
    assert len(replay_of(pair.away)) > 400
    assert check(pair) < pair.home.acts.head - 400


def test_a_checkpoint_holds_one_state_however_far_parameters_have_come(tmp_path):
    pair = Pair(agent="rainbow")
    pair.begin()
    bridge = pair.assembly.bridge
    for version in range(1, 16):
        pair.learn(version)
        if version == 5:
            pair.tell_state(wish=0)
    SumTree(pair.away.priorities).set(np.array([3]), np.array([0.5]))
    pair.away.largest_priority[0], pair.away.priorities_entered[0] = 0.5, 4
    values, _, slot = pair.tell_state(wish=1)
    pair.home.pin[bridge], pair.home.training_told[:] = slot + 1, (1, slot, values["turn"], values["due_at"])
    for version in range(16, 60):
        pair.learn(version)
        pair.tell_parameters()
    assert pair.home.slot_version[pair.home.latest[0]] == 59
    assert pair.home.turn[0] == 59
    taken = Checkpointer(pair.assembly, pair.home, tmp_path, None, nullcontext, {})._training()
    leaves, words = taken
    assert [leaves[name][0][0] for name in ("parameters", "optimiser", "target")] == [15, 15, 10]
    assert words == {
        **{"updates": 15, "turn": 15, "due_at": 60, "target_version": 10},
        **{"largest_priority": 0.5, "priorities_entered": 4, "demonstrations_entered": 0},
    }
    assert pair.home.priorities[len(pair.home.priorities) // 2 :].sum() == 0.5  # of which a checkpoint is made
    pair.enter()  # the learners' machine was lost: another begins with the newest parameters, and what was told of the rest
    pair.begin()
    publisher = pair._publisher(pair.away)
    assert pair.away.slot_version[pair.away.latest[0]] == 59
    assert publisher.optimiser()[0][0] == 15
    assert publisher.target()[0] == 10
    assert (pair.away.turn[0], pair.away.due_at[0], pair.away.priorities_entered[0]) == (59, 236, 4)
    assert SumTree(pair.away.priorities).total == 0.5


def test_a_state_of_another_network_is_refused():
    pair = Pair()
    state = training.state(pair.away, 0)
    with pytest.raises(wire.WireError):
        through(
            lambda link: training.send(link, state._replace(parts=[state.parts[0][:32], *state.parts[1:]]), 1),
            pair.home,
        )


def test_updates_are_recorded_each_once_and_by_the_environments_clock():
    pair = Pair()
    pair.begin()
    crew = pair.assembly.crew(0)
    follower, incoming = Follower(pair.away, crew), Incoming(pair.home, crew, None)
    outgoing = Outgoing(pair.home, pair.assembly, crew)
    follower.enter(*outgoing.everything(), start_ns=0)
    for version in (1, 2, 3):
        pair.learn(version, learner=version % 2)
    incoming.hear(follower.says(), OFFSET, 1000)
    pair.learn(4, learner=0)
    follower.says()  # which never arrives
    follower.enter(*outgoing.everything(), start_ns=0)
    incoming.hear(follower.says(), OFFSET, 1000)
    assert pair.home.update_head.tolist() == [2, 2]
    values, arrays, _ = pair.tell_state(wish=1)
    training.append_updates(pair.home, values["first_updates"], arrays["updates"], OFFSET, 1000)
    _, rows = training.last_updates(pair.home, [0, 0])
    assert rows["applied_version"].tolist() == [1, 3, 0, 2]
    assert rows["end_ns"].tolist() == [2, 4, 1, 3]
    assert rows["learner"].tolist() == [0, 0, 1, 1]


def test_learners_elsewhere_are_woken_by_each_observation_and_those_on_the_own_machine_are_not_looked_for():
    pair = Pair()
    crew = pair.assembly.crew(0)
    follower = Follower(pair.away, crew)
    outgoing = Outgoing(pair.home, pair.assembly, crew)
    follower.enter(*outgoing.everything(), start_ns=0)
    pair.ticks(1)
    assert follower.follow(*outgoing.news(), start_ns=0) == {process.number for process in crew}
    assert follower.follow(*outgoing.news(), start_ns=0) == set()
    assert [process.name for process in crew] == ["learner 0", "learner 1"]
    assert pair.assembly.learners_crew == 0
    assert crew_assembly(pair.assembly, 0, [4, 5, 6]).dimensions.transitions == 500
    assert pair.assembly.dimensions.snapshot_slots == 1 + _slots(crews=(1,))


def _slots(**crews):
    settings = Settings(cores="0", learner_workers="2")
    model = Model(settings, SPEC, "nature", 1.0)
    numbers = {"inference_workers": 1, "learner_workers": 2, "capacity": 4096}
    return lay_board(model, by_cores(settings, 1, 2, **crews), SHAPES, **numbers).dimensions.snapshot_slots
