"""What a checkpoint in virtual time keeps: every field of the board is somebody's, and what is packed comes back to the bit."""

import dataclasses
import json
import math
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from rtrl_jax.board.layout import BRIM, Dimensions, fields
from rtrl_jax.board.records import DECISION
from rtrl_jax.checkpoints.restoring import Past
from rtrl_jax.core import sizing
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings
from rtrl_jax.stagger import Ticket
from rtrl_jax.virtual_time import packing
from rtrl_jax.virtual_time import run as virtual_run
from rtrl_jax.virtual_time.costs import Progress
from rtrl_jax.virtual_time.keeping import BOARD
from rtrl_jax.workers.arbiter import Arbiter
from rtrl_jax.workers.effects import Timed
from rtrl_jax.workers.mailbox import Choice

# Fields that a checkpoint keeps otherwise, as on the wall clock.
CHECKPOINT = {"tick_head", "tick_rows", "frames", "stagger", "random_states", "due_at", "played_ns"}
CHECKPOINT |= {
    "act_head",
    "act_first",
    "act_rows",
    "kept_head",
    "kept_frames",
    "priorities",
    "largest_priority",
    "priorities_entered",
    "demonstration_priorities",
    "demonstrations_entered",
}
CHECKPOINT |= {
    "latest",
    "slot_version",
    "slots",
    "slot_optimiser",
    "slot_target",
    "target_version",
    "targets",
    "optimisers",
}
CHECKPOINT |= {"saved_tick", "saved_bytes", "saved_environment"}
# Fields of which nothing remains to be said between two boundaries.
MOMENTARY = {"pin", "decision_rows", "outcome_rows", "update_rows", "save_wanted", "saved", "picture_head", "pictures"}
MOMENTARY |= {"training_wanted", "training_told"}
# Fields of the processes there are.
PROCESSES = {
    "control",
    "start_ns",
    "heartbeat_ns",
    "expected_ns",
    "ready",
    "realtime",
    "overrun_ns",
    "over",
    "not_finite",
}
PROCESSES |= {"sample_ns", "own_bytes", "stop_wanted", "rehearsed", "link", "tau_told", "tau_answer"}


def test_every_field_of_the_board_is_kept_or_need_not_be():
    names = {field.name for field in fields(Dimensions(4096, (1,), "float32", 1, 262, 1, 3, 1, 64))}
    assert names == {*BOARD, *CHECKPOINT, *MOMENTARY, *PROCESSES}
    assert len(names) == sum(map(len, (BOARD, CHECKPOINT, MOMENTARY, PROCESSES)))


def test_what_is_packed_comes_back_to_the_bit():
    decision = np.zeros((), DECISION)[()]
    decision["obs_tick"], decision["greedy"] = 7, True
    value = {
        "plain": [None, True, 3, 0.1, -0.0, 1e-310, math.inf, "text", 1 << 127],
        "nested": ((1, (2,)), [Timed(Choice(1, False, 5), 3, 4)]),
        ("a", 1, True): {2: [np.float32(0.1), np.arange(3, dtype=np.uint32)]},
        "record": decision,
        "of JAX": jnp.array([0.1, math.nan], jnp.float32),
    }
    data, arrays = packing.pack(value)
    back = packing.unpack(data, arrays)
    assert back["plain"] == value["plain"]
    assert math.copysign(1, back["plain"][4]) == -1
    assert back["nested"] == value["nested"]
    assert type(back["nested"][1][0]) is Timed
    assert type(back["nested"][1][0].value) is Choice
    assert back["a", 1, True][2][0].dtype == np.float32
    assert back["record"] == decision
    assert back["record"].dtype == DECISION
    assert back["of JAX"].tobytes() == np.asarray(value["of JAX"]).tobytes()
    assert json.loads(data)


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None]), b"bytes"])
def test_what_cannot_be_packed_is_refused(value):
    with pytest.raises(TypeError, match="cannot be kept"):
        packing.pack([value])


def test_charges_go_on_where_they_were():
    times = np.arange(5)

    def draw(progress):
        return [progress.next_of(times, "inference", 1), progress.generator(2).random(), progress.generator(0).random()]

    before, after = Progress(np.random.default_rng), Progress(np.random.default_rng)
    for _ in range(3):
        draw(before)
    before.applying[4] = 9
    after.restore(packing.unpack(*packing.pack(before.state())))
    assert draw(after) == draw(before)
    assert after.applying == {4: 9}


def test_an_arbiter_goes_on_with_what_waits():
    decisions = np.zeros(4, DECISION)
    decisions["obs_tick"] = [3, 5, 4, 6]
    before, after = Arbiter(), Arbiter()
    for decision, due in zip(decisions, (9, 7, 7, 8), strict=True):
        before.submit(decision, due)
    before.latch(7, 0)
    after.restore(packing.unpack(*packing.pack(before.state())))
    for tick in (8, 9):
        assert after.latch(tick, 0) == before.latch(tick, 0)


@pytest.mark.parametrize("make", [lambda: Ticket(3), lambda: Ticket(2, playout=9)])
def test_a_dispatcher_goes_on_as_if_nothing_had_happened(make):
    before, after, rng = make(), make(), np.random.default_rng(0)
    for tick in range(40):
        before.observe(int(rng.integers(1, 9)), True)
        before.dispatch(tick, [0, 1][: tick % 3])
    after.restore(json.loads(json.dumps(before.save())))
    for tick in range(40, 80):
        assert after.dispatch(tick, [0, 1][: tick % 3]) == before.dispatch(tick, [0, 1][: tick % 3])
        taken = int(rng.integers(1, 40))
        before.observe(taken, True)
        after.observe(taken, True)
        assert after.playout == before.playout


@pytest.mark.parametrize(
    ("acts", "max_ticks", "memory", "expected"),
    [
        (15_000, 50_000, 1 << 20, 20_000),
        (15_000, 50_000, 1 << 36, 20_000),
        (15_000, 60_000, 1 << 36, 60_064),  # as a run with that limit would have kept from the beginning
        (15_000, 60_000, 1 << 20, 20_000),
        (25_000, 60_000, 1 << 36, 20_000),  # what has been overwritten is gone
    ],
)
def test_the_replay_stays_as_large_whatever_memory_there_is(monkeypatch, acts, max_ticks, memory, expected):
    monkeypatch.setattr("rtrl_jax.memory.total", lambda: memory)
    settings = dataclasses.asdict(Settings(max_ticks=50_000))
    manifest = {"act_rows": 20_000 + BRIM, "reached": [49_000, acts, acts, acts], "settings": settings}
    manifest |= {"inference_workers": 2, "learner_workers": 1, "session": 0, "resumes_at_new_episode": False}
    goes_on = Settings(max_ticks=max_ticks)
    spec = Spec((84, 84, 1), "uint8", 6, 0, 60.0, 1e-5)
    numbers, _ = virtual_run._numbers_and_session(Past(pathlib.Path(), manifest), goes_on, spec)
    assert sizing.kept(goes_on, spec, transitions=numbers.transitions).transitions == expected
