"""What a run that had come to its end still owed when it was killed: its arrays, its trace and its summary, from its records."""

import pathlib

from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.core import preparation, sizing
from rtrl_jax.core.assembly import assemble, one_each
from rtrl_jax.core.summary import summarise
from rtrl_jax.telemetry import recorder
from rtrl_jax.telemetry.files import write_json
from rtrl_jax.telemetry.summary import ITS_LIMITS


def finish(run: pathlib.Path) -> dict:
    """Writes them and returns the summary, in which null stands for what only the process knew. Nothing is played.

    For a run of which resuming it raises `AtItsEndError`. Raises UserError.
    """
    with store.locked(run):
        past, settings = restoring.open_run(run, {})
        manifest = past.manifest
        spec = preparation.probe(settings)
        model = preparation.prepare(settings, spec)
        assembly = assemble(
            model,
            one_each(manifest["inference_workers"], manifest["learners"]),
            inference_workers=manifest["inference_workers"],
            learner_workers=manifest["learner_workers"],
            **sizing.kept(settings, spec)._asdict(),
            session=manifest["session"],
        )
        summary = summarise(
            assembly,
            recorder.finish(run, settings.trace_seconds),
            run,
            failures=[],
            records_lost=None,
            not_finite={"rewards": None, "observations": None},
            ended_by=ITS_LIMITS,
            realtime_priority=None,
            rehearsals={"number": None, "share": None},
            startup_s=None,
            seconds=None,
        )
        write_json(run / "summary.json", summary)
        return summary
