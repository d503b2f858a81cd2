"""Environments by name: `atari/<Game>`, `gameboy/<game>`, `pokemon-<colour>/<setting>`, `toy/<name>`, and any of Gymnasium's.

What an environment is, and which of its parts are optional, says `protocol.Environment`.
"""

from collections.abc import Sequence

from rtrl_jax.actions import Vector
from rtrl_jax.environments.protocol import Environment, NotFinite, Progress
from rtrl_jax.environments.spec import Spec
from rtrl_jax.environments.wrappers import wrapped
from rtrl_jax.errors import UserError, nearest
from rtrl_jax.settings_fields import json_object

GAME_BOY = (
    "gameboy/duel-battles",
    "gameboy/duel-catching",
    "gameboy/stacks",
    "gameboy/tetris",
    *(f"pokemon-{colour}/{setting}" for colour in ("blue", "red", "yellow") for setting in ("battles", "catching")),
)

FAMILIES = ("atari", "gameboy", "toy", *(f"pokemon-{colour}" for colour in ("blue", "red", "yellow")))

__all__ = ["Environment", "NotFinite", "Progress", "Spec", "keywords", "make"]


def make(
    name: str,
    *,
    rate_hz: float | None = None,
    default_action: Sequence[float] | None = None,
    default_action_index: int | None = None,
    kwargs: dict | None = None,
    observation: str = "auto",
    image_size: tuple[int, int] | None = None,
    sticky_actions: float = 0.0,
    noop_starts: int = 0,
    frame_skip: int = 1,
    press_frames: int | None = None,
    encounters: str = "in_order",
    episode_ticks: int | None = None,
) -> Environment:
    """Makes the environment called `name`.

    Args:
      name: `atari/Boxing`, `CartPole-v1`, `my_module:MyEnv-v0` (my_module is imported first), `my_module:make_my_env`; any of
        Gymnasium's may begin with `gymnasium/`.
      rate_hz: ticks a second; None for the environment's own rate.
      default_action: β where actions are vectors; None for the environment's own.
      default_action_index: β; None for the environment's own.
      kwargs: keywords for `gymnasium.make` or the factory, see `keywords`; for Gymnasium's environments and toy/… alone.
      observation, image_size: how it is seen, see `view.view`.
      sticky_actions, noop_starts, frame_skip, press_frames: a probability and numbers of frames, see `wrappers`.
      encounters: in_order, each until it is won, or random.
      episode_ticks: after which an episode is cut off; None for never.

    Raises:
      UserError: no such environment, or one that cannot be used here, or not with these keywords.
    """
    environment = _find(name, kwargs or {}, observation, image_size)
    wrong = _wrong_default(name, environment.spec, default_action, default_action_index)
    if wrong:
        environment.close()
        raise UserError(wrong)
    if default_action is not None:
        environment.spec = environment.spec._replace(default_action=tuple(default_action))
    elif default_action_index is not None:
        environment.spec = environment.spec._replace(default_action=default_action_index)
    if encounters == "random" and environment.encounters == 1:
        environment.close()
        raise UserError(f"--encounters=random: {name} has one encounter alone, so leave it out")
    environment = wrapped(environment, sticky_actions, noop_starts, frame_skip, press_frames, encounters, episode_ticks)
    if rate_hz is not None:
        environment.spec = environment.spec._replace(rate_hz=rate_hz)
    if environment.spec.rate_hz is None:
        environment.close()
        raise UserError(f"{name} has no rate of its own: say how many ticks a second it has, e.g. --rate_hz=50")
    return environment


def _wrong_default(name: str, spec: Spec, values: Sequence[float] | None, index: int | None) -> str | None:
    """What is wrong with the β that is asked for: a line, or None."""
    actions = spec.actions
    if not isinstance(actions, Vector):
        if values is not None:
            return (
                f"--default_action={_listed(values)}: {name} has {actions} actions, numbered from 0: give noop or repeat, and "
                "--default_action_index"
            )
        if index is not None and not 0 <= index < actions:
            return f"--default_action_index={index} is not an action of {name}: it has {actions}, numbered from 0"
        return None
    if index is not None:
        return (
            f"--default_action_index={index}: the actions of {name} are vectors of {actions.size} numbers: give "
            f"--default_action={','.join(['V'] * min(actions.size, 3))}{',…' if actions.size > 3 else ''}"
        )
    if values is not None and not actions.holds(values):
        kind = "whole numbers" if actions.whole else "numbers"
        bounds = ", ".join(f"{low:g} to {high:g}" for low, high in zip(*actions[:2], strict=True))
        return f"--default_action={_listed(values)} is no action of {name}: it has {actions.size} {kind}, from {bounds}"
    return None


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in values)


def keywords(given: str | dict | None) -> dict:
    """What --environment_kwargs says: a JSON object, as text or as a dictionary already. Raises UserError if it is none."""
    return {} if given is None else json_object(given, "environment_kwargs")


def is_gymnasium(name: str) -> bool:
    """Whether it is one of Gymnasium's own or a user's, not one of the families here."""
    return name.partition("/")[0] not in FAMILIES


def _find(name: str, kwargs: dict, kind: str, size: tuple[int, int] | None) -> Environment:
    from rtrl_jax.environments.making import is_registered

    family = name.partition("/")[0]
    if name in GAME_BOY or family == "atari":
        if kwargs:
            raise UserError(f"--environment_kwargs are for Gymnasium's environments: {name} takes none")
        return _seen(_console_game(name), name, kind, size)
    from rtrl_jax.environments.gymnasium import Gymnasium

    if family == "toy":
        from rtrl_jax.environments import toy

        return Gymnasium(toy.registered(name), kwargs, kind, size)
    if family == "gymnasium" or (is_gymnasium(name) and is_registered(name)):
        return Gymnasium(name.removeprefix("gymnasium/"), kwargs, kind, size)
    raise UserError(
        f"no environment {name!r}: write atari/<Game>, gameboy/<game>, pokemon-<colour>/<setting>, "
        "toy/<name> or gymnasium/<id>" + _suggestion(name)
    )


def _console_game(name: str) -> Environment:
    if name in GAME_BOY:
        from rtrl_jax.environments import library

        return library.game(name)
    from rtrl_jax.environments.atari import Atari

    return Atari(name.removeprefix("atari/"))


def _seen(game: Environment, name: str, kind: str, size: tuple[int, int] | None) -> Environment:
    """A game whose picture is 84x84 grey, or its screen in colour."""
    if kind == "image":
        from rtrl_jax.environments.screen import Screen

        return Screen(game, size)
    wrong = None
    if kind == "vector":
        wrong = f"--observation=vector: {name} is seen as a picture: leave it at auto, or give image"
    elif size is not None:
        wrong = f"--image_size is of --observation=image: {name} is 84x84 grey, as in the paper"
    if wrong:
        game.close()
        raise UserError(wrong)
    return game


def _suggestion(name: str) -> str:
    import gymnasium

    from rtrl_jax.environments.atari import games

    known = [*GAME_BOY, *(f"atari/{game}" for game in games())] + [
        f"gymnasium/{name}" for name in gymnasium.registry if "/" not in name
    ]
    return nearest(name, known)
