"""What comes before a run, whatever the clock: checks that cost nothing when they fail, the world looked at, the model chosen."""

import dataclasses
import errno
import pathlib
import platform
from contextlib import contextmanager

from rtrl_jax import environments
from rtrl_jax.core import model as models
from rtrl_jax.core import sizing
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Environment, Spec, fresh, saving
from rtrl_jax.errors import UserError
from rtrl_jax.replay import demonstrations
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry import video

DEFAULT_DURATION_S = 60.0


def checked(settings: Settings) -> Settings:
    """With an end, if nothing else ends the run. Raises UserError."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise UserError(f"rtrl_jax runs on Linux on x86-64 only, not on {platform.system()} on {platform.machine()}")
    settings.check()
    if settings.duration_s is None and settings.max_ticks is None and settings.max_episodes is None:
        return dataclasses.replace(settings, duration_s=DEFAULT_DURATION_S)
    return settings


def make_environment(settings: Settings) -> Environment:
    """The environment that the settings name. Raises UserError if there is none, or it cannot be used."""
    return environments.make(
        settings.environment,
        rate_hz=settings.rate_hz,
        default_action=settings.default_vector,
        default_action_index=settings.default_action_index,
        kwargs=environments.keywords(settings.environment_kwargs),
        observation=settings.observation,
        image_size=settings.image_rows_and_columns,
        sticky_actions=settings.sticky_actions,
        noop_starts=settings.noop_starts,
        frame_skip=settings.frame_skip,
        press_frames=settings.press_frames,
        encounters=settings.encounters,
        episode_ticks=settings.episode_ticks,
    )


def probe(settings: Settings) -> Spec:
    """The environment's spec. Raises UserError if there is none, it cannot be used, or is known to this process alone."""
    environment = make_environment(settings)
    try:
        if not settings.is_virtual:
            fresh.check(settings.environment)
        _try_out(environment)
        why_not = saving.why_not(environment) if settings.checkpoint_every_s else None
    finally:
        environment.close()
    return environment.spec._replace(why_not_saved=why_not)


def _try_out(environment: Environment) -> None:
    """A reset and a step of β, so that a world whose observations are not what it says of them is refused before anything starts.

    Whatever else its own code raises, the run itself will say.
    """
    try:
        environment.reset(seed=0)
        environment.step(environment.spec.default_action)
    except UserError:
        raise
    except (Exception, SystemExit):
        return


def prepare(settings: Settings, spec: Spec, say=lambda line: None) -> Model:
    """The model, once the files that the settings name have been looked at, and said what its network sees. Raises UserError.

    Args: say: takes a line.
    """
    if settings.video is not None:
        film = video.check(settings.video, spec.picture_shape, settings.environment)
        settings = dataclasses.replace(settings, video=str(film))
    if settings.demonstrations is not None:  # looked at now, so that a bad file costs nothing
        path = pathlib.Path(settings.demonstrations).absolute()
        game = demonstrations.Game(settings.environment, spec.action_names)
        demonstrations.read(path, spec.observation_shape, spec.actions, game, say, spec.observation_dtype)
        settings = dataclasses.replace(settings, demonstrations=str(path))
    model = models.choose(settings, spec)
    sizing.check_room(model)
    if settings.policy == "agent":
        say(f"the network ({model.network}) sees {model.sees}")
    return model


@contextmanager
def writing_to(folder: pathlib.Path):
    """What the system refuses within it becomes one line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        where = error.filename or folder
        what = (
            f"writing to {where} failed ({error.strerror}): free some space there"
            if full
            else f"the run failed: {error}"
        )
        raise RuntimeError(f"{what}; what could be saved is in {folder}") from error
