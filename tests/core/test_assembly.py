"""Which processes a run has, on which cores, and what they are told."""

import dataclasses
import json

import numpy as np
import psutil
import pytest

from rtrl_jax.core import sizing
from rtrl_jax.core.assembly import by_cores, crowding, lay_board, learners_that_fit
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.realtime import message
from rtrl_jax.settings import Settings

SPEC = Spec((84, 84, 1), "uint8", 6, 0, 60.0, 1e-5)


class OnCores(Settings):
    """Settings on a machine with more cores than this one."""

    def core_list(self):
        return list(range(int(self.cores)))


def settings(cores, **kwargs):
    return OnCores(cores=str(cores), **kwargs)


@pytest.mark.parametrize(
    ("cores", "workers", "expected"),
    [
        (1, 1, [0, 0, 0]),
        (2, 1, [0, 1, 0]),  # the learner shares the environment's core, not inference's
        (4, 2, [0, 1, 2, 3]),
        (4, 3, [0, 1, 2, 3, 0]),
        (3, 4, [0, 1, 2, 1, 2, 0]),
    ],
)
def test_the_environment_comes_first_then_inference_then_learning(cores, workers, expected):
    assert [process.core for process in by_cores(settings(cores), workers, 1)] == expected


def test_learners_are_nice_and_nobody_else():
    assert [(process.role, process.niceness) for process in by_cores(settings(2), 1, 1)] == [
        ("environment", 0),
        ("inference", 0),
        ("learner", 19),
    ]


def test_a_sequential_agent_is_one_process():
    processes = by_cores(settings(4, interaction="sequential"), 1, 1)
    assert [(process.role, process.workers) for process in processes] == [("environment", ()), ("agent", (0,))]


def test_workers_that_share_a_process():
    processes = by_cores(settings(2, workers_per_process=4, emulated_inference_ms="5"), 10, 1)
    assert [process.workers for process in processes if process.workers] == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]


def assembly(**kwargs):
    return put_together(settings(**kwargs))


PARAMETERS, OPTIMISER = [np.zeros((3, 4), np.float32), np.zeros(5, np.float32)], [np.zeros((), np.int32)]


def put_together(chosen, learner_workers=1):
    return laid_out(chosen, 7, learner_workers)


def laid_out(chosen, workers, learners):
    model, processes = Model(chosen, SPEC, "resnet15", 1.0), by_cores(chosen, workers, learners)
    numbers = {"inference_workers": workers, "learner_workers": learners, "capacity": 4096}
    return lay_board(model, processes, PARAMETERS, optimiser=OPTIMISER, **numbers)


def test_more_workers_than_cores_is_a_warning_with_both_numbers():
    warning = crowding(assembly(cores=4))
    assert "7 inference processes" in warning
    assert "4 cores" in warning
    assert crowding(assembly(cores=9)) is None
    assert crowding(assembly(cores=2, workers_per_process=7, emulated_inference_ms="5")) is None


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ({}, ["environment", "inference"]),
        ({"learn_start": 300}, ["environment", "inference", "learner"]),  # 5 s at 60 Hz
        ({"demonstrations": "shown.npz"}, ["environment", "inference", "learner"]),
        ({"batch_size": 10**9}, ["environment", "inference", "learner"]),
        ({"cores": 1}, ["environment", "inference", "learner"]),  # it would compile where inference is busy
        ({"page": 8000}, ["environment", "inference"]),
        ({"interaction": "sequential"}, ["environment", "agent"]),
    ],
)
def test_a_learner_is_waited_for_if_there_will_soon_be_something_to_learn_from(given, roles):
    whole = laid_out(settings(**{"cores": 4, **given}), 1, 1)
    assert [whole.processes[number].role for number in whole.awaited] == roles
    again = dataclasses.replace(whole, session=1)
    assert {"learner", "agent"} & {whole.processes[number].role for number in again.awaited}


def test_all_workers_on_a_card_share_a_process():
    processes = by_cores(settings(4, device="gpu"), 3, 1)
    assert [process.workers for process in processes if process.workers] == [(0, 1, 2)]


def test_a_message_tells_everything():
    original = put_together(Settings(frame_stack=2), 2)
    decoded = message.read_assembly(json.loads(message.write(original, original.processes[2], 5, 1)))
    assert decoded == original
    assert decoded.model.observation_shape == (84, 84, 2)
    assert decoded.process_of_worker == [1, 2, 3, 4, 5, 6, 7]
    assert decoded.learners == [8, 9]


def test_the_parallel_baseline_is_one_learner_with_larger_batches_less_often():
    together = put_together(Settings(learning="parallel", learner_workers="3", batch_size=16, learn_every=4), 3)
    assert (len(together.learners), together.batch_size, together.learn_every) == (1, 48, 12)
    apart = put_together(Settings(learner_workers="3", batch_size=16, learn_every=4), 3)
    assert (len(apart.learners), apart.batch_size, apart.learn_every) == (3, 16, 4)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"replay_capacity": 5000}, 5000),
        ({"duration_s": 1000.0}, 60_064),  # all that the run can make
        ({"max_ticks": 100}, 4096),
        ({"max_ticks": 100, "learn_start": 3000}, 6000),
    ],
)
def test_the_replay_keeps_all_of_a_run_that_it_can(given, expected):
    assert sizing.kept(Settings(**given), SPEC).transitions == expected


@pytest.mark.parametrize(
    ("given", "each", "besides"),
    [
        ({}, 1, 39),
        ({"frame_stack": 4}, 1, 39),  # of stacks that overlap
        ({"frame_stack": 4, "interaction": "sequential"}, 4, 39),
        ({"frame_stack": 4, "interaction": "sequential", "delay": 2}, 2, 39),
        ({"frame_stack": 4, "frame_stack_stride": 3}, 1, 39),
        ({"frame_stack": 4, "frame_stack_stride": 3, "interaction": "sequential", "delay": 3}, 1, 39),
        ({"frame_stack": 4, "frame_stack_stride": 2, "interaction": "sequential", "delay": 6}, 3, 39),
        ({"interaction": "sequential", "delay": 5, "accounting": "next_obs"}, 2, 39),
        ({"interaction": "sequential", "delay": 5, "accounting": "next_obs,zero_frames"}, 2, 78 + 2),
        (
            {"interaction": "sequential", "delay": 5, "accounting": "reference"},
            1,
            78 + 5,
        ),  # what it leads to is gone on from
        ({"interaction": "sequential", "delay": 2, "accounting": "reference", "frame_stack": 4}, 3, 78 + 2 * 3),
        ({"delay": 5, "accounting": "reference"}, 1, 78 + 6),
    ],
)
def test_there_is_a_frame_for_each_transition_or_a_stack_where_they_are_far_apart(given, each, besides):
    kept = sizing.kept(Settings(replay_capacity=10_000, **given), SPEC)
    assert kept.kept_frames == each * 10_000 + besides + 64 + 2 * (1 + Settings(**given).stacking.reach)


@pytest.mark.parametrize(
    ("given", "rate", "expected"),
    [
        ({}, 60.0, 4096),
        ({"playout": "3000"}, 60.0, 6000),
        ({"frame_stack": 101, "frame_stack_stride": 40}, 60.0, 8000),
        ({}, 1000.0, 10_000),  # ten seconds, for whoever follows the record
        ({"max_ticks": 5000}, 1000.0, 5064),
    ],
)
def test_observations_are_there_for_as_long_as_anybody_needs_them(given, rate, expected):
    assert sizing.kept(Settings(**given), SPEC._replace(rate_hz=rate)).capacity == expected


def test_a_run_without_end_keeps_a_million_or_a_quarter_of_memory():
    most = sizing.kept(Settings(), SPEC).transitions
    assert most == 1_000_000 or most * 84 * 84 < psutil.virtual_memory().total / 4
    assert most > 100_000


@pytest.mark.parametrize(
    ("stagger", "quantile", "expected"),
    [("max_time", 0.0, 12), ("max_time", 0.5, 10), ("expected_time", 0.0, 11), ("none", 0.0, 11), ("ticket", 0.0, 11)],
)
def test_n_star_of_each_algorithm(stagger, quantile, expected):
    tau_ticks = np.array([9.5, 9.9, 9.9, 11.5, 11.9])  # mean 10.54; whole ticks 10, 10, 10, 12, 12
    assert sizing.inference_workers_needed(Settings(stagger=stagger, stagger_quantile=quantile), tau_ticks) == expected


def test_a_whisker_over_a_tick_does_not_need_another_worker():
    assert sizing.inference_workers_needed(Settings(), np.array([0.5] * 31 + [1.5])) == 1


def test_sequential_needs_one():
    assert (
        sizing.inference_workers_needed(dataclasses.replace(Settings(), interaction="sequential"), np.array([70.0]))
        == 1
    )


def test_the_page_comes_last_is_nice_and_is_not_waited_for():
    for cores, interaction in ((1, "async"), (2, "async"), (4, "async"), (4, "sequential")):
        without = by_cores(settings(cores, interaction=interaction), 1, 1)
        processes = by_cores(settings(cores, interaction=interaction, page=8000), 1, 1)
        assert processes[:-1] == without
        page = processes[-1]
        assert (page.role, page.niceness, page.number) == ("page", 19, len(without))
        if cores == 4:
            assert page.core not in {process.core for process in without}


def test_a_learner_that_must_share_a_core_with_inference_is_a_warning():
    assert "learner 1 must share a core with inference" in crowding(laid_out(settings(2), 1, 2))
    assert crowding(laid_out(settings(3), 1, 2)) is None


def test_no_more_learners_by_themselves_than_have_a_core_that_inference_leaves():
    assert [learners_that_fit(settings(cores), 1) for cores in (1, 2, 4)] == [1, 1, 2]
    assert learners_that_fit(settings(16, device="gpu"), 20) == 14


@pytest.mark.parametrize(
    "given", [{"width": 900.0}, {"batch_size": 65_536, "width": 30.0}, {"frame_stack": 256, "batch_size": 30_000}]
)
def test_a_network_or_a_batch_too_large_is_refused_before_anything_is_allocated(given, monkeypatch):
    monkeypatch.setattr("rtrl_jax.memory.available", lambda: 16 << 30)
    with pytest.raises(UserError, match="GiB, and 16 are free: lower --width"):
        sizing.check_room(Model(Settings(**given), SPEC, "resnet15", given.get("width", 1.0)))
    sizing.check_room(Model(Settings(), SPEC, "resnet15", 1.0))
