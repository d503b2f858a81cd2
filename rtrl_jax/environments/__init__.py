"""Environments by name: `atari/<Game>`, `gameboy/<game>`, `pokemon-<colour>/<setting>`, `toy/<name>` and `gymnasium/<id>`.

What an environment is, and which of its parts are optional, says `protocol.Environment`.
"""

from rtrl_jax.environments.protocol import Environment, NotFinite, Progress
from rtrl_jax.environments.spec import Spec, nearest
from rtrl_jax.environments.wrappers import wrapped
from rtrl_jax.errors import UserError
from rtrl_jax.settings_fields import json_object

GAME_BOY = (
    "gameboy/duel-battles",
    "gameboy/duel-catching",
    "gameboy/stacks",
    "gameboy/tetris",
    *(f"pokemon-{colour}/{setting}" for colour in ("blue", "red", "yellow") for setting in ("battles", "catching")),
)

__all__ = ["Environment", "NotFinite", "Progress", "Spec", "keywords", "make"]


def make(
    name: str,
    *,
    rate_hz: float | None = None,
    default_action_index: int | None = None,
    kwargs: dict | None = None,
    sticky_actions: float = 0.0,
    noop_starts: int = 0,
    frame_skip: int = 1,
    press_frames: int | None = None,
) -> Environment:
    """Makes the environment called `name`.

    Args:
      name: `atari/Boxing`, `gymnasium/CartPole-v1`, `gymnasium/my_module:MyEnv-v0` (my_module is imported first).
      rate_hz: ticks a second; None for the environment's own rate.
      default_action_index: β; None for the environment's own.
      kwargs: keywords for `gymnasium.make`, see `keywords`; for gymnasium/… and toy/… alone.
      sticky_actions, noop_starts, frame_skip, press_frames: a probability and numbers of frames, see `wrappers`.

    Raises:
      UserError: no such environment, or one that cannot be used here, or not with these keywords.
    """
    environment = _find(name, kwargs or {})
    if default_action_index is not None:
        environment.spec = environment.spec._replace(default_action=default_action_index)
    environment, wrong = wrapped(environment, sticky_actions, noop_starts, frame_skip, press_frames), None
    if rate_hz is not None:
        environment.spec = environment.spec._replace(rate_hz=rate_hz)
    if environment.spec.rate_hz is None:
        wrong = f"{name} has no rate of its own: say how many ticks a second it has, e.g. --rate_hz=50"
    if default_action_index is not None and not 0 <= default_action_index < environment.spec.actions:
        wrong = (
            f"--default_action_index={default_action_index} is not an action of {name}: "
            f"it has {environment.spec.actions}, numbered from 0"
        )
    if wrong:
        environment.close()
        raise UserError(wrong)
    return environment


def keywords(given: str | dict | None) -> dict:
    """What --environment_kwargs says: a JSON object, as text or as a dictionary already. Raises UserError if it is none."""
    return {} if given is None else json_object(given, "environment_kwargs")


def _find(name: str, kwargs: dict) -> Environment:
    family, _, rest = name.partition("/")
    if kwargs and (name in GAME_BOY or family == "atari"):
        raise UserError(f"--environment_kwargs are for gymnasium/<id>: {name} takes none")
    if name in GAME_BOY:
        from rtrl_jax.environments import library

        return library.game(name)
    if family == "atari":
        from rtrl_jax.environments.atari import Atari

        return Atari(rest)
    if family == "gymnasium":
        from rtrl_jax.environments.gymnasium import Gymnasium

        return Gymnasium(rest, kwargs)
    if family == "toy":
        from rtrl_jax.environments import toy
        from rtrl_jax.environments.gymnasium import Gymnasium

        return Gymnasium(toy.registered(name), kwargs)
    raise UserError(
        f"no environment {name!r}: write atari/<Game>, gameboy/<game>, pokemon-<colour>/<setting>, "
        "toy/<name> or gymnasium/<id>" + _suggestion(name)
    )


def _suggestion(name: str) -> str:
    import gymnasium

    from rtrl_jax.environments.atari import games

    known = [*GAME_BOY, *(f"atari/{game}" for game in games())] + [
        f"gymnasium/{name}" for name in gymnasium.registry if "/" not in name
    ]
    return nearest(name, known)
