"""Environments by name: `atari/<Game>` and `gymnasium/<id>`.

An environment here is an object with reset(seed) -> frame, step(action) -> (frame, reward, terminated, truncated) and close(),
and a `Spec` that says what its frames, actions and rate are. It knows nothing of real time; `workers.environment` does.
"""

from rtrl_jax.environments.spec import Spec, nearest
from rtrl_jax.errors import UserError

__all__ = ["Spec", "make"]


def make(name: str, *, rate_hz: float | None = None, default_action_index: int | None = None):
    """Makes the environment called `name`.

    Args:
      name: `atari/Boxing`, `gymnasium/CartPole-v1`, `gymnasium/my_module:MyEnv-v0` (my_module is imported first).
      rate_hz: ticks a second; None for the environment's own rate.
      default_action_index: β; None for the environment's own.

    Raises:
      UserError: no such environment, or one that cannot be used here.
    """
    family, _, rest = name.partition("/")
    if family == "atari":
        from rtrl_jax.environments.atari import Atari as Family
    elif family == "gymnasium":
        from rtrl_jax.environments.gymnasium import Gymnasium as Family
    else:
        raise UserError(f"no environment {name!r}: write atari/<Game> or gymnasium/<id>{_suggestion(name)}")
    environment = Family(rest)
    overrides = {"rate_hz": rate_hz, "default_action": default_action_index}
    environment.spec = environment.spec._replace(**{k: v for k, v in overrides.items() if v is not None})
    if environment.spec.rate_hz is None:
        environment.close()
        raise UserError(f"{name} has no rate of its own: say how many ticks a second it has, e.g. --rate_hz=50")
    if not 0 <= environment.spec.default_action < environment.spec.actions:
        environment.close()
        raise UserError(
            f"--default_action_index={default_action_index} is not an action of {name}: "
            f"it has {environment.spec.actions}, numbered from 0"
        )
    return environment


def _suggestion(name: str) -> str:
    import gymnasium

    from rtrl_jax.environments.atari import games

    known = [f"atari/{game}" for game in games()] + [
        f"gymnasium/{name}" for name in gymnasium.registry if "/" not in name
    ]
    return nearest(name, known)
