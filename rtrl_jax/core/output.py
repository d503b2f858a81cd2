"""What comes out of a run, the same for both clocks: records, events for TensorBoard, display, checkpoints, film and summary."""

import math
import pathlib
import time
from collections.abc import Callable

from rtrl_jax.board.layout import Board
from rtrl_jax.checkpoints.restoring import Past
from rtrl_jax.checkpoints.writer import Checkpointer, UnderWay, describe
from rtrl_jax.core.assembly import Assembly
from rtrl_jax.core.summary import summarise
from rtrl_jax.telemetry import video
from rtrl_jax.telemetry.files import write_json
from rtrl_jax.telemetry.film_picture import Painter
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.telemetry.recorder import Recorder
from rtrl_jax.telemetry.summary import versions
from rtrl_jax.telemetry.tensorboard import Events
from rtrl_jax.telemetry.terminal import Display

EVENTS_EVERY = 4  # looks of the display


class Output:
    """Belongs to one thread, which calls `look` several times a second while the run goes on."""

    def __init__(
        self,
        assembly: Assembly,
        board: Board,
        folder: pathlib.Path,
        display: Display,
        hold_turns: Callable,
        *,
        show_every_s: float,
        past: Past | None = None,
        earlier: dict | None = None,
        under_way: Callable[[], UnderWay] | None = None,
    ):
        """Args:
        hold_turns: () -> context manager within which no learner applies an update.
        show_every_s: between two looks of the display.
        past, earlier: the checkpoint a resumed run goes on from, and its records until then.
        under_way: see `Checkpointer`; whoever gives it calls `save` when a state has been left.
        """
        self._assembly, self._settings, self._board = assembly, assembly.settings, board
        self._folder, self._display = folder, display
        self.window, self.recorder = Window(), Recorder(board, folder, earlier)
        if earlier:
            self.window.add(earlier)
        self.updates_before = self.window.updates
        self._events = Events(folder, past and past.tick + 1, len(self.window.returns))
        self._checkpointer = None
        if self._settings.checkpoint_every_s:
            manifest = describe(assembly, versions())
            how = (self.recorder, hold_turns, manifest, past, under_way)
            self._checkpointer = Checkpointer(assembly, board, folder, *how)
        self._film = None
        self._show_s = show_every_s
        self._show_at = self._events_at = self._save_at = math.inf
        self._started: float | None = None
        self._limits = Limits(self._settings.duration_s, self._settings.max_ticks, self._settings.max_episodes)
        self.failures: list[dict] = []
        self.end_is_lost = False  # whether there should be a checkpoint of the end, and is none
        self._not_finite_said = False

    def start(self) -> None:
        """The first boundary is near."""
        self._started = self._show_at = self._events_at = time.monotonic()
        settings, spec = self._settings, self._assembly.spec
        if self._checkpointer:
            self._save_at = self._started + settings.checkpoint_every_s
        if settings.video is not None:
            note = "inference emulated" if settings.emulated_inference_ms else ""
            painter = Painter(spec.picture_shape, spec.action_names, spec.rate_hz, note)
            first_tick = int(self._board.tick_head[0])
            self._film = video.Film(self._board, spec.rate_hz, pathlib.Path(settings.video), painter, first_tick)

    def take_in(self) -> None:
        """Records what is new."""
        self.window.add(self.recorder.drain())
        for line in self.window.warnings():
            self._display.say(line)

    def look(self, played_s: float) -> None:
        """Shows, notes and saves what is due. Args: played_s: how long it has gone on by its own clock, all sessions together."""
        now = time.monotonic()
        if now >= self._show_at:
            self._show_at = now + self._show_s
            self.take_in()
            self._display.show(self.window, played_s, self._limits)
        if now >= self._events_at:
            self._events_at = now + EVENTS_EVERY * self._show_s
            self._events.write(self.window)
        if now >= self._save_at:
            self._save_at = now + self._settings.checkpoint_every_s
            self._checkpointer.begin()
        self._report_errors()
        self._report_not_finite()

    def save(self) -> None:
        """Makes a checkpoint of the state that the environment has just left, while everything stands still."""
        self.take_in()
        self._checkpointer.make()

    def fail(self, process: str, reason: str, *, trace: str = "", replaced: bool = False) -> None:
        """Notes and says that something went wrong."""
        self.failures.append(
            {
                "process": process,
                "reason": reason,
                "tick": int(self._board.tick_head[0]),
                "time_s": time.monotonic() - self._started if self._started else 0.0,
                "replaced": replaced,
                "traceback": trace,
            }
        )
        own = process in ("checkpoint", "events for TensorBoard", "film", "run")
        self._display.say((reason if own else f"{process} {reason}") + ("; replaced" if replaced else ""))
        if trace:
            self._display.say(trace)

    def _report_not_finite(self) -> None:
        rewards, observations = self._board.not_finite.tolist()
        if (rewards or observations) and not self._not_finite_said:
            self._not_finite_said = True
            self._display.say(
                f"warning: this world gives rewards ({rewards} so far) or observations ({observations}) that are no "
                "finite numbers; 0 takes their place"
            )

    def _report_errors(self) -> None:
        if self._checkpointer and (error := self._checkpointer.error()):
            self.fail("checkpoint", error)
        if error := self._events.error():
            self.fail("events for TensorBoard", error)

    def close(self, *, died: bool, ended_by: str, startup_s: float, **more) -> dict:
        """Once nobody plays any more: the last checkpoint, the film, the arrays, and the summary, which it returns.

        Args:
          died: whether the environment's process is known to have left no state.
          more: what else is to be in the summary.
        """
        seconds = time.monotonic() - self._started if self._started else 0.0
        self.take_in()
        self._end_film()
        if self._checkpointer and self._started:
            self._display.waiting("Writing the last checkpoint …")
            self.end_is_lost = not self._checkpointer.last(died=died)
        self._events.write(self.window)
        self._events.close()
        self._report_errors()
        self._report_not_finite()
        summary = summarise(
            self._assembly,
            self.recorder.close(self._settings.trace_seconds, self._assembly.elsewhere),
            self._folder,
            failures=self.failures,
            records_lost=self.recorder.lost,
            not_finite=dict(zip(("rewards", "observations"), self._board.not_finite.tolist(), strict=True)),
            ended_by=ended_by,
            realtime_priority=bool(self._board.realtime[0] > 0),
            rehearsals=self._rehearsals(seconds),
            startup_s=startup_s,
            seconds=seconds,
            **more,
        )
        write_json(self._folder / "summary.json", summary)
        return summary

    def _rehearsals(self, seconds: float) -> dict:
        """How many inferences were made for warm caches alone, and the share of inference workers' time that they took."""
        number, took_ns = self._board.rehearsed.sum(axis=0).tolist()
        return {"number": number, "share": took_ns / 1e9 / len(self._board.rehearsed) / seconds if seconds else None}

    def _end_film(self) -> None:
        if self._film is None:
            return
        self._display.waiting("Finishing the film …")
        self._film.close()
        if error := self._film.error():
            self.fail("film", error)
        else:
            lacking = f"; {self._film.repeated} ticks of it repeat the picture before" if self._film.repeated else ""
            self._display.say(f"the film is {self._settings.video}{lacking}")
