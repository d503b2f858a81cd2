"""Every flagfile can be read and says something sensible."""

import itertools
import re

import pytest
from absl import flags
from conftest import ROOT

from rtrl_jax import environments
from rtrl_jax.flags import define_flags
from rtrl_jax.settings import Settings
from rtrl_jax.virtual_time import aliases

FLAGFILES = {str(path.relative_to(ROOT / "configs")): path for path in sorted((ROOT / "configs").rglob("*.flags"))}
PAPER = [name for name in FLAGFILES if name.startswith("paper/")]
PARTS = {"a": "battles", "b": "catching"}
ATARI = {"boxing": "Boxing", "krull": "Krull", "name-this-game": "NameThisGame"}


@pytest.fixture
def settings(monkeypatch):
    """Reads a flagfile, and flags after it."""
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    for name in ("DEFINE_string", "DEFINE_integer", "DEFINE_float", "DEFINE_bool", "DEFINE_enum"):
        original = getattr(flags, name)
        monkeypatch.setattr(
            flags, name, lambda *args, original=original: original(*args, flag_values=flags.FLAGS), raising=True
        )
    define_flags(Settings)

    def read(name, *more):
        flags.FLAGS.unparse_flags()  # nothing stays of the file before
        flags.FLAGS(["test", f"--flagfile={FLAGFILES[name]}", *more])
        return Settings(**{name: flags.FLAGS[name].value for name in Settings.__dataclass_fields__})

    return read


@pytest.mark.parametrize("name", FLAGFILES)
def test_flagfile(name, settings):
    found = settings(name)
    found.check()
    world = found.environment
    assert world in environments.GAME_BOY or world.split("/")[0] in ("atari", "gymnasium")
    assert FLAGFILES[name].read_text().startswith("# ")  # which says what it is


@pytest.mark.parametrize("name", FLAGFILES)
def test_it_is_long_enough_to_learn(name, settings):
    found = settings(name)
    if found.duration_s:
        ticks = found.duration_s * (found.rate_hz or 59) / found.frame_skip
        assert ticks / (found.delay if found.is_sequential else 1) > 2 * found.learn_start


def test_rainbow_is_the_paper_s():
    """docs/semantics.md has where it departs from the one published."""
    for path in (ROOT / "configs").rglob("*figure14*.flags"):
        assert {"--one_step_loss=true", "--epsilon_start=1", "--epsilon_end=0.05"} <= set(path.read_text().splitlines())


def test_there_is_one_for_every_line_of_every_figure(settings):
    """Figure 13 is of Figure 4's runs; Figures 7 and 8 are studies. That of a line says what stands for it here."""
    wanted = {f"paper/figure5-tetris-{line}" for line in ("async", "sequential", "random", "noop")}
    for figure, part in itertools.product(("4{}-100M", "11{}-1M", "12{}-10M"), PARTS):
        wanted |= {f"paper/figure{figure.format(part)}-{way}" for way in ("async", "sequential", "learn-first")}
    wanted |= {f"paper/figure4{part}-100M-parallel" for part in PARTS}
    for game, way in itertools.product(ATARI, ("async", "sequential")):
        wanted |= {f"paper/figure6-{game}-dqn-{way}", f"paper/figure6-{game}-dqn-{way}-30-layers"}
        wanted.add(f"paper/figure14-{game}-rainbow-{way}")
    wanted |= {f"paper/figure6-{game}-{policy}" for game in ATARI for policy in ("random", "noop")}
    assert wanted == {name.removesuffix(".flags") for name in PAPER if name.startswith("paper/figure")}
    for name in wanted:
        found, text = settings(f"{name}.flags"), FLAGFILES[f"{name}.flags"].read_text()
        assert found.is_sequential == ("sequential" in name or "learn-first" in name), name
        assert found.policy == next((policy for policy in ("random", "noop") if name.endswith(policy)), "agent")
        game = next((ale for game, ale in ATARI.items() if f"-{game}-" in name), None)
        assert game is None or found.environment == f"atari/{game}", name
        if found.policy == "agent":
            (page,) = set(re.findall(r"results/paper/figure\d+\.md", text))
            assert (ROOT / page).exists(), name


@pytest.mark.parametrize("name", PAPER)
def test_another_learn_every_is_not_ignored(name, settings):
    found = settings(name, "--learn_every=3")
    if found.delay:
        found = aliases.spell_out(found, rate_hz=60.0)
        assert (found.learn_every, found.scheduled_period or 3) == (3, 3)


def test_rainbow_s_support_holds_boxing_s_returns():
    """From −100 to 100, and discounting makes none larger."""
    for path in (ROOT / "configs").rglob("*boxing*rainbow*.flags"):
        given = dict(line.strip("-").split("=") for line in path.read_text().splitlines() if line.startswith("--"))
        assert float(given["value_min"]) <= -100 < 100 <= float(given["value_max"]), path


def test_there_is_one_for_every_game_boy_game_and_setting():
    texts = [path.read_text() for path in FLAGFILES.values()]
    for name in environments.GAME_BOY:
        assert any(f"--environment={name}\n" in text for text in texts), name


@pytest.mark.parametrize("name", PAPER)
def test_those_of_the_paper_run_on_duel_by_changing_the_environment_alone(name, settings):
    for part in ("battles", "catching"):
        found = settings(name, f"--environment=gameboy/duel-{part}")
        found.check()
        if found.is_virtual:
            aliases.spell_out(found, rate_hz=59.7275).check()


@pytest.mark.parametrize(("size", "width", "delay"), [("11{}-1M", 1, 5), ("12{}-10M", 7, 8), ("4{}-100M", 29, 70)])
def test_figure_4_and_its_like_have_the_paper_s_sizes_delays_and_baselines(size, width, delay, settings):
    ways = {"async": "async", "sequential": "sequential", "learn-first": "sequential_learn_first"}
    learns = ("learning_rate", "gamma", "epsilon_start", "epsilon_end", "epsilon_steps", "epsilon_per")
    for (way, interaction), (part, game) in itertools.product(ways.items(), PARTS.items()):
        found = settings(f"paper/figure{size.format(part)}-{way}.flags")
        assert found.environment == f"pokemon-blue/{game}"
        assert (found.width, found.delay, found.interaction) == (width, delay, interaction)
        assert (found.batch_size, found.agent, found.network) == (16, "dqn", "resnet15")
        assert [getattr(found, name) for name in learns] == [1e-3, 0.99, 1, 0.05, 100_000, "decision"]
        # Learners beside the agent learn in every 5 ticks; an agent that learns itself does so after each action.
        assert (found.learn_every, found.learn_per) == ((5, "tick") if way == "async" else (1, "decision"))


def test_the_parallel_baseline_of_figure_4_sees_as_many_transitions_in_batches_33_times_as_large(settings):
    ours, parallel = (settings(f"paper/figure4a-100M-{way}.flags") for way in ("async", "parallel"))
    assert (parallel.batch_size, parallel.learn_every) == (33 * ours.batch_size, 33 * ours.learn_every)
