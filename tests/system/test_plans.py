"""How its convolutions are computed belongs to a run: it is written down, and kept when this machine's plans change."""

import json

import pytest

import rtrl_jax
from rtrl_jax import environments, networks
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.core import model as models
from rtrl_jax.networks import fast
from rtrl_jax.settings import Settings

GAME, WIDTH = "gameboy/duel-catching", 0.25
SHAPE = (84, 84, 1)
RANDOM = {"environment": GAME, "width": WIDTH, "delay": 1, "policy": "random", "max_ticks": 20, "display": "none"}
FIRST, SECOND = "shifts,patches:14", "shifts,xla:14"


def asked(**given):
    return Settings(environment=GAME, width=WIDTH, **given)


def network():
    spec = environments.make(GAME).spec
    return networks.build("resnet15", spec.actions, WIDTH)


def measured(text, batch_size=16):
    """Makes it the plan that was measured on this machine."""
    plan = fast.plan_text.read(text.replace("shifts", "shifts/shifts/xla/xla"), network(), SHAPE)
    fast.keep(plan, [[{}] * 4] * 15, network(), SHAPE, batch_size)
    return fast.plan_text.write(plan)


@pytest.fixture
def past(tmp_path, monkeypatch):
    """A run under one plan, and another plan that has been measured since."""
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path / "cache"))
    before = measured(FIRST)
    summary = rtrl_jax.run(**RANDOM, run_dir=str(tmp_path / "run"))
    after = measured(SECOND)
    assert after != before
    return tmp_path / "run", summary, before, after


def test_the_plan_is_in_summary_flags_and_checkpoint(past):
    folder, summary, before, _ = past
    assert summary["network"]["plan"] == before
    assert f"--plan={before}\n" in (folder / "flags.txt").read_text()
    manifest = store.read_manifest(store.find(folder))
    assert manifest["settings"]["plan"] == manifest["network"]["plan"] == before


def test_a_repeated_run_has_the_same_plan_and_a_new_one_what_was_measured_last(launch, past, tmp_path):
    folder, _, before, after = past
    done = launch(f"--flagfile={folder}/flags.txt", f"--run_dir={tmp_path}/again")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "again" / "summary.json").read_text())["network"]["plan"] == before
    assert models.choose(asked(), environments.make(GAME).spec).settings.plan == after


def test_a_resumed_run_keeps_its_plan_unless_it_is_to_compute_otherwise(past, monkeypatch):
    folder, _, before, after = past

    def resumed(**overrides):
        return models.choose(restoring.open_run(folder, overrides)[1], environments.make(GAME).spec)

    assert resumed(max_ticks=40).settings.plan == before
    assert fast.plan_text.write(resumed(max_ticks=40).fast) == before
    with pytest.raises(rtrl_jax.UserError, match="goes on as it was"):
        resumed(plan=after)
    monkeypatch.setattr(
        restoring, "_check_virtual", lambda *_: None
    )  # as for a run on the wall clock, which may change it
    assert resumed(plan=after).settings.plan == after
    assert resumed(plan=None).settings.plan == after
    assert resumed(fast=False).settings.plan is None
    assert resumed(inference_dtype="bfloat16", plan="F2:15").fast.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"plan": "xla:14"}, "this network has 15; leave it out"),
        ({"plan": "magic"}, "no way to convolve is called 'magic'"),
        ({"plan": "xla:15", "network": "nature"}, "computes as Flax does"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_in_one_line(given, says):
    with pytest.raises(rtrl_jax.UserError, match=says) as error:
        models.choose(asked(**given), environments.make(GAME).spec)
    assert "\n" not in str(error.value)


def test_a_plan_belongs_to_fast_networks():
    with pytest.raises(rtrl_jax.UserError, match="belongs to --fast"):
        asked(plan="xla:15", fast=False).check()
