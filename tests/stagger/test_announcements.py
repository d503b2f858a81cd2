"""What owed waits do to the spacing of workers, as pure state machines."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtrl_jax.stagger import Bounded, ExpectedTime, Free, MaxTime
from rtrl_jax.stagger.announcements import FALLS, OWN, RISES, distance, estimate, new_table, owed

times = st.floats(0.01, 100.0)


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 39))
def test_distance_is_how_far_x_is_behind_y(workers, x, y):
    x, y = x % workers, y % workers
    assert 0 <= distance(x, y, workers) < workers
    assert (x + distance(x, y, workers)) % workers == y


@given(st.integers(2, 30), st.lists(st.tuples(st.integers(0, 29), times), min_size=1, max_size=60))
def test_algorithm_1_keeps_the_maximum_and_holds_every_answer_until_it(workers, observations):
    table = new_table(workers)
    algorithm = MaxTime(table)
    longest = 0.0
    for worker, tau in observations:
        wait = algorithm.observe(worker % workers, tau)
        longest = max(longest, tau)
        assert wait == max(0.0, wait)
        assert abs(tau + wait - longest) < 1e-9
    assert abs(estimate(table) - longest) < 1e-9


@given(st.integers(2, 30), st.integers(0, 29), st.lists(times, min_size=1, max_size=30))
def test_algorithm_1_spaces_all_workers_evenly_whoever_raises_the_maximum(workers, announcer, taus):
    announcer %= workers
    algorithm = MaxTime(new_table(workers))
    for tau in taus:
        algorithm.observe(announcer, tau)
    slots = sorted(algorithm.owed(x) for x in range(workers))
    np.testing.assert_allclose(np.diff(slots), max(taus) / workers, rtol=1e-6)


@given(st.integers(2, 30), st.lists(st.tuples(st.integers(0, 29), times), min_size=1, max_size=60))
def test_algorithm_2_estimates_the_mean_and_never_holds_an_answer(workers, observations):
    table = new_table(workers)
    algorithm = ExpectedTime(table)
    for worker, tau in observations:
        assert algorithm.observe(worker % workers, tau) == 0.0
    mean = np.mean([tau for _, tau in observations])
    np.testing.assert_allclose(estimate(table), mean, rtol=1e-6)


@given(st.integers(2, 30), st.integers(0, 29), times, times)
def test_waits_for_a_fall_space_workers_by_the_new_estimate(workers, announcer, before, after):
    """A rise to `before` and a fall to `after`, both announced by one worker, which waits for the fall as the rest do."""
    announcer %= workers
    before, after = max(before, after), min(before, after)
    table = new_table(workers)
    table[announcer, RISES] = before
    table[announcer, FALLS] = before - after
    table[announcer, OWN] = before - after
    waits = np.array([owed(table, x) for x in range(workers)])
    behind = distance(np.arange(workers), announcer, workers)
    np.testing.assert_allclose(waits - waits[announcer], behind * after / workers, atol=1e-9 * before)


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), times), min_size=1, max_size=80))
def test_nobody_is_ever_told_to_wait_less_than_before(workers, observations):
    for make in (MaxTime, ExpectedTime, lambda table: Bounded(table, 0.9), Free):
        algorithm = make(new_table(workers))
        owed_before = np.zeros(workers)
        for worker, tau in observations:
            assert algorithm.observe(worker % workers, tau) >= 0
            owed_now = np.array([algorithm.owed(x) for x in range(workers)])
            assert (owed_now >= owed_before - 1e-9).all()
            owed_before = owed_now


def test_only_the_announcers_row_changes():
    for make in (MaxTime, ExpectedTime, lambda table: Bounded(table, 0.9)):
        table = new_table(5)
        algorithm = make(table)
        for tau in (3.0, 9.0, 1.0):
            algorithm.observe(2, tau)
        assert (np.delete(table, 2, axis=0) == 0).all()
        assert (table[2] != 0).any()


def test_the_bounded_estimate_forgets_an_outlier_and_the_paper_s_does_not():
    bounded, faithful = new_table(3), new_table(3)
    for table, algorithm in ((bounded, Bounded(bounded, 0.99)), (faithful, MaxTime(faithful))):
        for i in range(2000):
            algorithm.observe(i % 3, 60.0 if i == 100 else 10.0)
        assert estimate(table) == (10.0 if table is bounded else 60.0)
