"""The page of a run while it goes on, in a process of its own that only reads the board; the stop button writes one word of it.

It looks FRAMES_HZ times a second, makes one message of what is new, and gives the same bytes to every viewer. Nobody in the run
waits for it.
"""

import asyncio
import math
import time

import numpy as np

from rtrl_jax import stagger
from rtrl_jax.board.layout import RUNNING, STOPPING, WAITING
from rtrl_jax.page import messages, tables
from rtrl_jax.page.listener import Listener
from rtrl_jax.page.server import RUN_PAGE, application, serve
from rtrl_jax.page.viewers import Viewers
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.tail import Tail

FRAMES_HZ = 15
FIGURES_S = 0.5
POINTS_S = 1.0
MOST_POINTS = 2000
RECENT_ROWS = 400  # what a new viewer is shown at once
MOST_NUMBERS = 64  # of an observation that is no picture
KINDS = {"stop": {}}
LEARNING = ("updates", "q", "target_q", "inactive")


def show(context, listener: Listener) -> None:
    """Serves the page until the run ends. Args: context: see `core.context.Context`."""
    run = LiveRun(context)
    viewers = Viewers()

    def hear(_, message) -> None:
        if message and message["type"] == "stop":
            context.board.stop_wanted[0] = 1

    async def attend(socket) -> None:
        await viewers.attend(socket, run.greeting, KINDS, hear)

    async def work() -> None:
        context.board.ready[context.process.number] = 1
        due = time.monotonic()
        while context.board.control[0] != STOPPING:
            context.beat()
            run.look()
            if viewers.all:
                viewers.broadcast(run.frame())
            due = max(due + 1 / FRAMES_HZ, time.monotonic())  # late frames are left out, not made up
            await asyncio.sleep(max(0.01, due - time.monotonic()))
        viewers.broadcast(messages.pack({"type": "ended"}))
        viewers.close()
        await asyncio.sleep(0.1)

    asyncio.run(serve(application(RUN_PAGE, listener.token, attend), listener, work))


class LiveRun:
    """What there is to show, gathered from the board."""

    def __init__(self, context):
        self._context, self._board = context, context.board
        self._session = context.assembly.session
        self._tail, self._window = Tail(context.board, first_tick=0), Window()
        self._pictures = context.board.shown
        self._news = {kind: rows[:0] for kind, rows in self._tail.drain().items()}
        self._tail = Tail(
            context.board, first_tick=0
        )  # again from the start: a page that is replaced shows what was before it
        self._recent = dict(self._news)
        self._points = {name: [] for name in ("seconds", "inaction", "wins", *LEARNING)}
        self._figures_at = self._points_at = 0.0
        self._points_s = POINTS_S

    def look(self) -> None:
        """Takes in what is new."""
        news = self._tail.drain()
        news["ticks"] = news["ticks"][news["ticks"]["session"] == self._session]
        self._window.add(news)
        for kind in ("ticks", "decisions"):
            self._news[kind] = np.concatenate([self._news[kind], news[kind]])[-tables.MOST_ROWS :]
            self._recent[kind] = np.concatenate([self._recent[kind], news[kind]])[-RECENT_ROWS:]
        now = time.monotonic()
        if now >= self._points_at and self._board.control[0] == RUNNING:
            self._points_at = now + self._points_s
            self._add_point()

    def greeting(self) -> bytes:
        """The first message to a viewer: what does not change, and the recent past."""
        assembly = self._context.assembly
        settings, spec = assembly.settings, assembly.spec
        return messages.pack(
            {
                "type": "hello",
                "mode": "live",
                "environment": settings.environment,
                "rate_hz": spec.rate_hz,
                "workers": assembly.inference_workers,
                "elsewhere": assembly.elsewhere,
                "interaction": settings.interaction,
                "stagger": stagger.label_of(settings.stagger),
                "emulated": settings.emulated_inference_ms,
                "actions": list(spec.action_names),
                "pictures": bool(len(self._pictures.rows)),
                "images": spec.is_picture,
                "learns": settings.learns,
                "now": self._now_ms(),
                **tables.rows(self._recent["ticks"], self._recent["decisions"], self._origin()),
                **self._figures(),
            }
        )

    def frame(self) -> bytes:
        """The message of this moment, for all viewers alike."""
        header = {
            "type": "frame",
            "now": self._now_ms(),
            "waiting": int(self._board.control[0]) == WAITING,
            **tables.rows(self._news["ticks"], self._news["decisions"], self._origin()),
        }
        self._news = {kind: rows[:0] for kind, rows in self._news.items()}
        pictures = []
        if len(self._pictures.rows) and self._pictures.head:
            _, newest = self._pictures.read(self._pictures.head - 1)
            if len(newest):
                pictures.append(messages.png(newest[-1]))
                header["picture"] = len(pictures)
        if (tick := self._board.observations.newest) >= 0:
            observation = self._board.frames[tick % len(self._board.frames)]
            if self._context.assembly.spec.is_picture:
                pictures.append(messages.png(observation))
                header["observation"] = len(pictures)
            else:
                header["numbers"] = [round(value, 4) for value in observation.ravel()[:MOST_NUMBERS].tolist()]
        now = time.monotonic()
        if now >= self._figures_at:
            self._figures_at = now + FIGURES_S
            header |= self._figures()
        return messages.pack(header, tuple(pictures))

    def _origin(self) -> int:
        return int(self._board.start_ns[0])

    def _now_ms(self) -> float:
        return round((time.monotonic_ns() - self._origin()) / 1e6, 2)

    def _add_point(self) -> None:
        figures = self._window.figures()
        if not figures["ticks"]:
            return
        self._points["seconds"].append(self._window.ticks / self._context.assembly.spec.rate_hz)
        self._points["inaction"].append(100 * figures["inaction"])
        self._points["wins"].append(figures["progress"]["wins"])
        self._points["updates"].append(self._window.updates)
        for name in ("q", "target_q", "inactive"):
            value = figures["learning"][name]
            self._points[name].append(math.nan if value is None else value)
        if len(self._points["wins"]) >= MOST_POINTS:  # in a long run they come, and stay, more rarely
            self._points = {name: values[::2] for name, values in self._points.items()}
            self._points_s *= 2

    def _learning(self) -> dict:
        """Of the points at which there was something to show."""
        updates, q, target_q, inactive = (np.array(self._points[name], float) for name in LEARNING)
        there, counted = ~np.isnan(q), ~np.isnan(inactive)
        return {
            "values": tables.values_curve(updates[there], q[there], target_q[there]),
            "inactive": tables.curve(updates[counted], 100 * inactive[counted]),
        }

    def _figures(self) -> dict:
        rate = self._context.assembly.spec.rate_hz
        figures, points = self._window.figures(), self._points
        encounters = any(figures["progress"].values())
        return {
            "figures": {
                **figures,
                "all_ticks": self._window.ticks,
                "all_updates": self._window.updates,
                "episodes": {"count": len(self._window.returns), "return_so_far": self._window.episode_return},
            },
            "delays": tables.histogram(self._window.delays()),
            "returns": tables.returns_curve(self._window.ends, self._window.returns, rate),
            "progress": tables.curve(points["seconds"], points["wins"]) if encounters else None,
            "inaction": tables.curve(points["seconds"], points["inaction"]),
            **self._learning(),
            "lost": self._tail.lost,
        }
