"""Statistics of returns against known values, and intervals that cover what they should."""

import numpy as np
import pytest

from rtrl_jax.evaluation import scores
from rtrl_jax.evaluation.references import RANDOM_AND_HUMAN, human_normalised


def test_interquartile_mean():
    assert scores.interquartile_mean(np.array([100.0, 3, 1, 2, 4, -50, 5, 6])) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert scores.interquartile_mean(np.array([1.0, 2, 9])) == pytest.approx(4)  # nothing to cut
    assert scores.interquartile_mean(np.array([[1.0, 2, 3, 40], [0, 0, 0, 0]])).tolist() == [2.5, 0]


def test_the_interval_of_a_mean_is_the_one_of_normal_theory():
    values = np.random.default_rng(1).normal(10, 3, 200)
    low, high = scores.interval([values], scores.mean)
    half = 1.96 * values.std() / np.sqrt(200)
    assert (low, high) == (pytest.approx(values.mean() - half, abs=0.05), pytest.approx(values.mean() + half, abs=0.05))
    assert scores.interval([values], scores.mean) == (low, high)
    assert scores.interval([values], scores.mean, seed=1) != (low, high)


def test_it_covers_the_truth_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 1000)
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(300):
        low, high = scores.interval([rng.exponential(1, 50)], scores.mean)
        covered += low <= 1 <= high
    assert 0.89 <= covered / 300 <= 0.97


def test_strata_are_drawn_within_themselves():
    games = [np.zeros(10), np.ones(10)]
    assert scores.interval(games, scores.mean) == (0.5, 0.5)


def test_memory_is_bounded(monkeypatch):
    values = np.random.default_rng(3).normal(size=100)
    whole = scores.interval([values], scores.mean)
    monkeypatch.setattr(scores, "MOST_AT_ONCE", 5000)
    assert scores.interval([values], scores.mean) == pytest.approx(whole, abs=0.02)


def test_one_episode():
    figures = scores.figures(np.array([4.0]))
    assert (figures["mean"], figures["median"], figures["iqm"], figures["std"]) == (4, 4, 4, 0)
    assert figures["mean_interval"] == (4, 4)


def test_human_normalised():
    assert human_normalised("atari/Boxing", 0.1) == 0
    assert human_normalised("atari/Boxing", 4.3) == 1
    assert human_normalised("atari/Krull", np.array([1598.0, 2395.0])).tolist() == [0, 1]
    assert human_normalised("atari/NameThisGame", 4076) == 1
    assert human_normalised("gymnasium/CartPole-v1", 3) is None
    assert human_normalised("atari/Tetris", 3) is None


def test_references_are_of_games_that_exist():
    from rtrl_jax.environments.atari import games

    assert set(RANDOM_AND_HUMAN) <= set(games())
