"""A game played by a person in the browser, at the game's own rate, with as much delay as an agent would have.

The world does not wait for the person either; it stands still only while nobody looks at all. Boundaries are absolute instants.
"""

import asyncio
import time

from rtrl_jax.actions import same, text
from rtrl_jax.page import messages
from rtrl_jax.page.controls import Held, controls_of
from rtrl_jax.page.listener import Listener
from rtrl_jax.page.recording import Recording
from rtrl_jax.page.server import PLAY_PAGE, application, serve
from rtrl_jax.page.viewers import Viewers

MOST_SHOWN_HZ = 62.0
MOST_MADE_UP = 4  # ticks; after a longer overrun the clock goes on from now
KINDS = {"down": {"button": str}, "up": {"button": str}, "release": {}}


class Play:
    """A game in progress: `tick` plays one tick of it."""

    def __init__(self, environment, lag, seed: int, recording: Recording | None = None):
        """Args: environment: see `rtrl_jax.environments`. lag: has act(action) -> action, see `lag`."""
        spec = environment.spec
        self._environment, self._lag, self._recording = environment, lag, recording
        self.controls = controls_of(spec)
        self.held = Held(self.controls.buttons)
        self._names = spec.action_names
        self._default = spec.default_action
        self._seed, self._fresh = seed, True
        self.begun = False  # by the first press
        self.ticks = self.episodes = self.idle = 0
        self.score, self.last, self.best, self.acting = 0.0, None, None, ""
        self._new_episode()

    def _new_episode(self) -> None:
        seed, self._seed = self._seed, None
        frame = self._environment.reset(seed)
        self.score, self._fresh = 0.0, False
        if self._recording is not None:
            self._recording.add(frame, self._default, 0.0, False, False)

    def tick(self) -> None:
        """One step of the world."""
        if self._fresh:
            self._new_episode()
            return
        action = self._lag.act(self.controls.action(self.held.take()))
        frame, reward, terminated, truncated = self._environment.step(action)
        self.ticks += 1
        is_default = same(action, self._default)
        self.idle += is_default
        self.score += reward
        self.acting = "" if is_default else text(action, self._names)
        if self._recording is not None:
            self._recording.add(frame, action, reward, terminated, truncated)
        if terminated or truncated:
            self.last, self.best = self.score, max(self.score, self.best if self.best is not None else self.score)
            self.episodes += 1
            self._fresh = True

    def state(self, lateness_ms: float) -> bytes:
        """The message of this moment."""
        progress = self._environment.progress
        header = {
            "type": "frame",
            "begun": self.begun,
            "score": self.score,
            "last": self.last,
            "best": self.best,
            "episodes": self.episodes,
            "ticks": self.ticks,
            "idle": self.idle,
            "acting": self.acting,
            "thinking": round(self._lag.thinking, 3),
            "lateness_ms": round(lateness_ms, 2),
            "lives": self._environment.lives,
            "encounter": progress.encounter,
            "wins": progress.wins,
            "attempts": progress.attempts,
            "recorded": None if self._recording is None else len(self._recording),
        }
        return messages.pack(header, (messages.png(self._environment.picture()),))


async def show(play: Play, listener: Listener, until: asyncio.Event, rate_hz: float, greeting: dict) -> None:
    """Serves the game until `until` is set. Args: greeting: what the page should say of it."""
    viewers = Viewers()
    hello = messages.pack(
        {
            "type": "hello",
            "rate_hz": rate_hz,
            "buttons": list(play.controls.buttons),
            "keys": {button: list(codes) for button, codes in play.controls.keys.items()},
            **greeting,
        }
    )

    def hear(viewer, message) -> None:
        if message is None or message["type"] == "release":
            play.held.release_all(viewer)
        elif message["type"] == "down":
            play.held.press(viewer, message["button"])
            play.begun = True
        else:
            play.held.release(viewer, message["button"])

    async def attend(socket) -> None:
        await viewers.attend(socket, lambda: hello, KINDS, hear)

    async def work() -> None:
        show_every = max(1, round(rate_hz / MOST_SHOWN_HZ))
        number, due, late = 0, time.monotonic(), 0.0
        while not until.is_set():
            if viewers.all and play.begun:
                late = 1e3 * (time.monotonic() - due)
                play.tick()
            elif not viewers.all:
                play.begun = False
            if viewers.all and number % show_every == 0:
                viewers.broadcast(play.state(late))
            number += 1
            due += 1 / rate_hz
            if time.monotonic() - due > MOST_MADE_UP / rate_hz:
                due = time.monotonic()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        viewers.close()

    await serve(application(PLAY_PAGE, listener.token, attend), listener, work)
