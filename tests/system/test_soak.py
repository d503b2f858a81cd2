"""The harness of benchmarks/soak.py itself: it finds what was planted, and nothing where there is nothing."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
from soaking import kills, picture, power, records, trend
from soaking.run import Run
from soaking.watch import Watch

from rtrl_jax.telemetry.tail import KINDS

SECONDS, WARM_UP_S, ENDING_S = 20, 8, 1  # in its last second a process may have begun to close what it holds
GOAL = 1.0  # MB an hour
SOON = 500.0  # what seconds can tell: in its first minute a process still touches new memory, 50 MB an hour of it
WORLD = """
import gymnasium, numpy as np

class World(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(0, 1, (2,)), gymnasium.spaces.Discrete(2)
    def __init__(self, leaks): self.leaks, self.steps, self.kept = leaks, 0, []
    def reset(self, seed=None, options=None): return np.zeros(2, np.float32), {}
    def step(self, action):
        self.steps += 1
        if self.leaks and self.steps % 30 == 0: self.kept += [np.ones(125_000), open("/dev/null")]
        return np.zeros(2, np.float32), 0.0, False, self.steps % 60 == 0, {}

gymnasium.register("Leaky-v0", entry_point=World, kwargs={"leaks": True})
gymnasium.register("Tight-v0", entry_point=World, kwargs={"leaks": False})
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """What the harness finds in a run that leaks and one that does not, made side by side: `trend.Growth` by name, and runs."""
    folder = tmp_path_factory.mktemp("soak")
    (folder / "world.py").write_text(WORLD)
    flags = ["--rate_hz=60", "--learner_workers=0", "--epsilon_end=0", f"--duration_s={SECONDS}"]

    def watch(name: str):
        with Run(folder / name, f"--environment=gymnasium/world:{name}-v0", *flags) as run:
            run.wait_for(lambda: len(run.ticks()), "did not begin")
            began_s, watch = run.ticks()["boundary_ns"][0] / 1e9, Watch(run)
            watch.until_it_ends(0.1)
            series = {one: found.between(WARM_UP_S, SECONDS - ENDING_S) for one, found in watch.series(began_s).items()}
            return series, run, (run.exit_status(), run.orphans(), run.segments(), watch.replaced)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("PYTHONPATH", f"{ROOT}:{folder}")
        return dict(zip(("leaky", "tight"), pool.map(watch, ("Leaky", "Tight")), strict=True))


def test_a_planted_leak_is_found_in_the_process_that_leaks(watched):
    series, *_ = watched["leaky"]
    grown = trend.of(series)
    assert set(series) == {"supervisor", "environment", "inference 0"}
    assert grown.slopes["environment"].at_most(SOON) is False
    assert grown.slopes["environment"].an_hour == pytest.approx(2 * 3600, rel=0.3)  # a megabyte in each half second
    assert grown.descriptors["environment"] == pytest.approx(2 * 0.9 * (SECONDS - ENDING_S - WARM_UP_S), abs=4)
    assert grown.slopes["inference 0"].at_most(SOON) is True
    assert grown.descriptors["inference 0"] == 0


def test_a_clean_run_is_clean(watched):
    series, run, ended = watched["tight"]
    grown = trend.of(series)
    assert ended == (0, [], [], 0)
    assert all(slope.at_most(SOON) for slope in grown.slopes.values()), grown.slopes
    assert max(grown.descriptors.values()) <= 0, grown.descriptors
    assert not any(grown.threads.values()), grown.threads
    made = records.read(run.folder)
    assert records.missing_and_twice(made.ticks["tick"]) == (0, 0)
    assert records.unexplained(made) == 0


def test_the_memory_is_drawn(watched, tmp_path):
    series, *_ = watched["leaky"]
    picture.write_table(tmp_path / "soak.csv", series)
    picture.draw(tmp_path / "soak.csv", trend.of(series).slopes, WARM_UP_S, GOAL)
    assert (tmp_path / "soak.png").stat().st_size > 10_000


def test_what_is_left_of_a_killed_run_is_seen(tmp_path):
    with Run(tmp_path / "run", "--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--learner_workers=0") as run:
        run.wait_for(lambda: len(run.ticks()), "did not begin")
        assert len(run.orphans(wait_s=0)) == 2  # the environment and the worker, as long as they live
        assert run.segments()
        run.kill()
        assert (run.orphans(), run.segments()) == ([], [])


HOUR_S = np.arange(720, 3600.0)


@pytest.mark.parametrize(
    ("mb", "slope", "met"),
    [
        (lambda t: 300 + 0 * t, 0, True),
        (lambda t: 300 + 4 * t / 3600, 4, False),
        (lambda t: 300 + 80 * (t % 20 < 8) + 0.5 * t / 3600, 0.5, True),  # bursts, as at checkpoints
        (lambda t: 300 + 30 * (t > 1800), 0, True),  # a step that happens once
        (lambda t: 300 + 20 * (t // 600), 120, False),  # steps that go on
    ],
)
def test_slopes(mb, slope, met):
    found = trend.slope(HOUR_S, mb(HOUR_S))
    assert found.low <= found.an_hour <= found.high
    assert found.an_hour == pytest.approx(slope, rel=0.3, abs=0.05)
    assert found.at_most(GOAL) is met


def test_where_a_run_is_too_short_nothing_is_said():
    noise = np.random.default_rng(0).normal(0, 0.1, 60)
    assert trend.slope(HOUR_S[:60], 300 + noise).at_most(GOAL) is None


def test_a_count_that_comes_and_goes_does_not_grow():
    assert trend.growth(HOUR_S, 12 + (HOUR_S % 20 < 8)) == 0
    assert trend.growth(HOUR_S, 12 + HOUR_S // 600) == 4


def test_gaps_and_repetitions_are_counted():
    assert records.missing_and_twice(np.array([0, 1, 2])) == (0, 0)
    assert records.missing_and_twice(np.array([0, 2, 2, 5])) == (3, 1)
    error, parts = records.rate_errors(np.arange(6001) * (10**9 // 60), 60)
    assert error < 1e-5
    assert len(parts) == 10


def test_who_is_killed_and_when_its_successor_is_at_work():
    rng, killed = np.random.default_rng(0), []
    for at_s in range(300):
        killed.append(kills.Kill(kills.choose(rng, killed), at_s, 0.2))
    names = [one.name for one in killed]
    assert set(names) == set(kills.KILLABLE)
    assert not any(len(set(names[at : at + 3])) == 1 for at in range(298))
    learner, page = kills.Kill("learner 1", 10.0, 0.2), kills.Kill("page", 10.0, 0.2)
    again = kills.Kill("learner 1", 14.0, 0.2)
    made = records.Records(None, None, {"learner": np.array([1, 0, 1]), "start_ns": np.array([9, 11, 15]) * 10**9})
    assert kills.at_work_again_s(learner, [learner], made, []) == 5
    assert kills.at_work_again_s(learner, [learner, again], made, []) is None  # killed before it could
    assert kills.at_work_again_s(again, [learner, again], made, []) == 1
    assert kills.at_work_again_s(page, [page], made, [{"first_s": 3.0}]) == np.inf


def test_a_power_cut_leaves_what_the_oldest_checkpoint_covers_and_can_be_undone(tmp_path):
    for tick, updates in ((49, 5), (79, 8)):
        (tmp_path / "checkpoints" / f"{tick:012d}").mkdir(parents=True)
        manifest = json.dumps({"tick": tick, "updates": updates})
        (tmp_path / "checkpoints" / f"{tick:012d}" / "manifest.json").write_text(manifest)
    rows = {kind: np.zeros(count, KINDS[kind]) for kind, count in (("ticks", 100), ("decisions", 100), ("updates", 10))}
    rows["ticks"]["tick"] = rows["decisions"]["apply_tick"] = rows["decisions"]["decision"]["obs_tick"] = np.arange(100)
    rows["updates"]["applied_version"] = np.arange(10)
    for kind, records_of_it in rows.items():
        records_of_it.tofile(tmp_path / f"{kind}.raw")
    sizes = []
    for seed in range(20):
        lost = power.cut(tmp_path, np.random.default_rng(seed))
        sizes.append([(tmp_path / f"{kind}.raw").stat().st_size / KINDS[kind].itemsize for kind in rows])
        power.put_back(lost)
        assert all((tmp_path / f"{kind}.raw").read_bytes() == rows[kind].tobytes() for kind in rows)
    least, most = np.min(sizes, axis=0), np.max(sizes, axis=0)
    assert (least >= [50, 50, 5]).all()
    assert (least < [80, 80, 8]).all(), "never short of the newest checkpoint"
    assert (most <= [100, 100, 10]).all()
    assert (np.array(sizes) % 1 > 0).any(), "never within a record"
