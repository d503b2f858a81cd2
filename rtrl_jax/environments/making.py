"""A Gymnasium environment from its name: an id that is registered, `module:Id`, or `module:factory`, which returns one.

The module is imported first, and whatever process plays makes its environment anew: nothing is pickled.
"""

import importlib
import json
import sys

import gymnasium

from rtrl_jax.errors import UserError, nearest

gymnasium.logger.min_level = gymnasium.logger.ERROR  # what is wrong is said once, by us

OLD = (
    "is of the API that gym had before Gymnasium: wrap it with shimmy (shimmy.GymV21CompatibilityV0, GymV26CompatibilityV0) in a "
    "factory, and name that, module:factory"
)


def is_registered(name: str) -> bool:
    """Whether `made` would find it without importing anything; True of `module:…` too, which it has to import to say."""
    return ":" in name or name in gymnasium.registry


def newest(name: str) -> str | None:
    """The id with its version, where none is said."""
    from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

    try:
        space, stem, version = parse_env_id(name)
    except gymnasium.error.Error:
        return None
    return get_env_id(space, stem, find_highest_version(space, stem) if version is None else version)


def made(name: str, keywords: dict) -> gymnasium.Env:
    """Makes it. Args: keywords: for `gymnasium.make`, or for the factory. Raises UserError."""
    module, _, what = name.rpartition(":")
    given = f" with --environment_kwargs={json.dumps(keywords, default=str)}" if keywords else ""
    try:
        factory = _factory(module, what)
        found = factory(**keywords) if factory else gymnasium.make(name, disable_env_checker=True, **keywords)
    except UserError:
        raise
    except gymnasium.error.UnregisteredEnv:
        raise UserError(_unknown(name, module, what)) from None
    except ImportError as error:  # also gymnasium's own DependencyNotInstalled and a module: part that is not there
        raise UserError(f"gymnasium/{name} needs something that is not installed: {_one_line(error)}") from None
    except (Exception, SystemExit) as error:
        if not (keywords or module) and not isinstance(error, gymnasium.error.Error | TypeError | ValueError):
            raise
        raise UserError(f"gymnasium/{name} cannot be made{given}: {_one_line(error)}") from None
    if isinstance(found, gymnasium.Env):
        return found
    if any(kind.__module__.partition(".")[0] == "gym" for kind in type(found).__mro__):
        raise UserError(f"gymnasium/{name} {OLD}")
    raise UserError(
        f"gymnasium/{name}: what {what} returns is no gymnasium.Env but of type {type(found).__name__}: let it return one"
    )


def _factory(module: str, what: str):
    """The function or class of that name, if the module has no environment of that id; None: ask Gymnasium."""
    if not module:
        return None
    found = getattr(importlib.import_module(module), what, None)
    return found if callable(found) and newest(what) not in gymnasium.registry else None


def _unknown(name: str, module: str, what: str) -> str:
    old = sys.modules.get("gym")
    try:
        if old and old.spec(what):
            return f"gymnasium/{name} {OLD}"
    except Exception:
        pass
    known = nearest(what, [known for known in gymnasium.registry if "/" not in known])
    if module:
        return f"no Gymnasium environment {what!r} once {module} is imported, and nothing there of that name to make one{known}"
    return f"no Gymnasium environment {name!r}{known or '; gymnasium.pprint_registry() lists them'}"


def _one_line(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r})"
    return " ".join(str(error).split()) or type(error).__name__
