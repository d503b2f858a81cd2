"""Fast inference in a real run with learning: prepared filters are those of the parameters they were published with."""

import jax
import numpy as np
import pytest

import rtrl_jax
from rtrl_jax import environments
from rtrl_jax.checkpoints import load_policy, store
from rtrl_jax.evaluation.policies import model_of
from rtrl_jax.networks.fast import native

REAL = {"playout": "off", "max_ticks": 900}  # the learner has to get at its updates on a machine that does much else
VIRTUAL = {"clock": "virtual", "delay": 1, "max_ticks": 200}  # the same loops, without waiting for a learner to come


@pytest.mark.parametrize(
    ("how", "tolerance"),
    [
        (REAL, 1e-4),
        ({**VIRTUAL, "fast": False}, 1e-4),
        ({**VIRTUAL, "inference_dtype": "bfloat16"}, 0.03),
        pytest.param(
            {**VIRTUAL, "inference_dtype": "int8"},
            0.1,
            marks=pytest.mark.skipif(not native.is_supported("int8"), reason="no VNNI"),
        ),
        ({**REAL, "device": "cpu:0"}, 1e-4),
    ],
)
def test_decisions_are_those_of_the_plain_network_at_their_version(tmp_path, how, tolerance):
    summary = rtrl_jax.run(
        environment="gameboy/duel-battles",
        width=0.5,
        **how,
        learning_rate=1e-3,  # so that every update moves the filters
        learn_start=40,
        learn_every=40,
        epsilon_start=0.0,
        epsilon_end=0.0,
        display="none",
        run_dir=str(tmp_path / "run"),
    )
    assert summary["learning"]["updates"] >= 2
    assert not summary["failures"]
    checkpoint = store.find(tmp_path / "run")
    policy, manifest = load_policy(checkpoint), store.read_manifest(checkpoint)
    ((name, *_),) = manifest["replay"]
    with np.load(checkpoint.parent / "replay" / name) as stored:
        acts, frames = stored["acts"], stored["frames"]
    seen = dict(zip(acts["obs_tick"].tolist(), acts["frames"][:, 0] - acts["frames"][0, 0], strict=True))
    decisions = np.load(tmp_path / "run" / "decisions.npz")
    ours = (decisions["version"] == manifest["updates"]) & np.isin(decisions["obs_tick"], list(seen))
    assert ours.any()  # on a busy machine the last update may have come late
    world = environments.make("gameboy/duel-battles")
    model = model_of(manifest, world.spec)
    world.close()
    values = jax.jit(model.module.apply)(
        {"params": jax.tree.unflatten(model.structure, policy.leaves)},
        frames[[seen[tick] for tick in decisions["obs_tick"][ours].tolist()]],
    )
    chosen = np.take_along_axis(np.asarray(values), decisions["action"][ours][:, None], 1)[:, 0]
    # Two actions of the same value to the last digits may be told apart either way.
    np.testing.assert_allclose(chosen, values.max(1), rtol=tolerance, atol=tolerance / 10)
