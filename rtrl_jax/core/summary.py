"""summary.json: the figures of a run, and what kind of run it was."""

import pathlib

from rtrl_jax.checkpoints import store
from rtrl_jax.core.assembly import Assembly
from rtrl_jax.telemetry import summary as summaries


def summarise(assembly: Assembly, records: dict, folder: pathlib.Path, **outcome) -> dict:
    """Args:
    records: of the whole run, by kind, as `Recorder.close` returns them.
    outcome: what only the run knows: failures, records_lost, not_finite, ended_by, realtime_priority, rehearsals,
      startup_s, seconds.
    """
    settings = assembly.settings
    figures = summaries.statistics(records["ticks"], records["decisions"], records["updates"])
    figures["inference"] = {
        "workers": assembly.inference_workers,
        "stagger": "none" if settings.is_sequential else settings.stagger,
        **figures["inference"],
        "emulated": settings.emulated_inference_ms,
    }
    figures["learning"] = {"workers": len(assembly.learners), "agent": settings.agent, **figures["learning"]}
    startup_s, seconds = outcome.pop("startup_s"), outcome.pop("seconds")
    return {
        "environment": settings.environment,
        "clock": settings.clock,
        "interaction": settings.interaction,
        "rate_hz": assembly.spec.rate_hz,
        **figures,
        "parameters": assembly.parameter_count,
        "observation": {
            "sees": assembly.model.sees,
            "shape": list(assembly.spec.observation_shape),
            "dtype": assembly.spec.observation_dtype,
        },
        "network": {"name": assembly.model.network, "width": assembly.model.width, "plan": settings.plan},
        "sessions": assembly.session + 1,
        "checkpoints": len(store.whole(folder)),
        **outcome,
        "machine": summaries.machine(),
        "versions": summaries.versions(),
        "startup_s": startup_s,
        "seconds": seconds,
        "run_dir": str(folder),
    }
