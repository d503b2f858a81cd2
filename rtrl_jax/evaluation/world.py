"""The world that a checkpoint is evaluated in: that of its run, unless a flag says otherwise, and then that is said aloud."""

from rtrl_jax.environments import keywords
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.settings import Settings
from rtrl_jax.settings_texts import stated_action

EVERYWHERE = (
    "rate_hz",
    "sticky_actions",
    "noop_starts",
    "frame_skip",
    "press_frames",
)  # goes with an agent to other games
FLAGS = (*EVERYWHERE, "default_action_index", "environment_kwargs")


def options(settings: Evaluation, environment: str, manifest: dict | None) -> dict:
    """Options for `environments.make`: what a flag says, else what the run had.

    Args:
      environment: where. What the run had for its own environment alone does not go with it elsewhere.
      manifest: the checkpoint's; None if there is none.
    """
    run, acts = _of_the_run(manifest), manifest and manifest["settings"].get("default_action")
    if manifest and environment != manifest["environment"]:
        run, acts = {name: run[name] for name in EVERYWHERE}, None
    found = {name: run.get(name) if getattr(settings, name) is None else getattr(settings, name) for name in FLAGS}
    return {
        "rate_hz": found["rate_hz"],
        "default_action": _vector(settings.default_action or acts),
        "default_action_index": found["default_action_index"],
        "kwargs": keywords(found["environment_kwargs"]),
        **_seen(manifest),
        "sticky_actions": found["sticky_actions"] or 0.0,
        "noop_starts": found["noop_starts"] or 0,
        "frame_skip": found["frame_skip"] or 1,
        "press_frames": found["press_frames"],
    }


def _seen(manifest: dict | None) -> dict:
    """How the run saw its world, as one that was not asked; checkpoints of before there was a choice say nothing of it."""
    settings = Settings(**manifest["settings"]) if manifest else Settings()
    return {"observation": settings.observation, "image_size": settings.image_rows_and_columns}


def overrides(settings: Evaluation, manifest: dict | None) -> list[str]:
    """Which flags make it another world than the run's, each with what the run had."""
    others = []
    for name, had in _of_the_run(manifest).items():
        given = getattr(settings, name)
        same = keywords(given) == keywords(had) if name == "environment_kwargs" else given == had
        if given is not None and not same:
            others.append(f"--{name}={given} (the run gave {'none' if had is None else had})")
    return others


def _of_the_run(manifest: dict | None) -> dict:
    """Its flags by name, those that were not given as None; nothing without a run."""
    return {name: manifest["settings"].get(name) for name in FLAGS} if manifest else {}


def _vector(text: str | None) -> tuple[float, ...] | None:
    return text and stated_action(text, "default_action")
