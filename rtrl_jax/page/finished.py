"""The page of a run that has ended, from its folder alone: any window of its timeline, and its curves."""

import json
import pathlib
import zipfile

import numpy as np

from rtrl_jax import stagger
from rtrl_jax.board.records import begins
from rtrl_jax.errors import UserError
from rtrl_jax.page import messages, tables
from rtrl_jax.page.listener import Listener
from rtrl_jax.page.server import RUN_PAGE, application, serve
from rtrl_jax.page.viewers import Viewers
from rtrl_jax.telemetry import summary
from rtrl_jax.telemetry.recorder import read_back

KINDS = {"window": {"first": int, "ticks": int}}
MOST_TICKS = 500  # in a window
CURVE_PARTS = 200  # of the run, each a point of the inaction curve


class FinishedRun:
    """A run's records. Raises UserError if the folder holds none."""

    def __init__(self, folder: pathlib.Path):
        try:
            records = read_back(folder)
            flags = dict(_flag(line) for line in (folder / "flags.txt").read_text().splitlines())
            self._summary = json.loads(_text(folder / "summary.json") or "{}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{folder} holds no run that can be shown ({' '.join(str(error).split())})") from None
        self._ticks, self._decisions, updates = records["ticks"], records["decisions"], records["updates"]
        self._updates = updates
        if not len(self._ticks):
            raise UserError(f"{folder} holds a run without a single tick: there is nothing to show")
        self._decisions = self._decisions[np.argsort(self._decisions["decision"]["end_ns"], kind="stable")]
        self._flags, self._name = flags, folder.name
        self._figures = summary.statistics(self._ticks, self._decisions, updates)
        self.origin = int(self._ticks["boundary_ns"][0])

    def greeting(self) -> bytes:
        """All that does not depend on the window."""
        ticks = self._ticks
        rate = self._summary.get("rate_hz") or self._figures["measured_rate_hz"] or 1.0
        ended = ticks["tick"][ticks["terminated"] | ticks["truncated"]].tolist()
        returns = summary.episode_returns(ticks).tolist()
        acting = ticks[begins(ticks)]
        parts = np.array_split(ticks, min(CURVE_PARTS, len(ticks)))
        updates = self._updates
        batches = np.array_split(updates, min(CURVE_PARTS, max(1, len(updates)))) if len(updates) else []
        counted = updates[~np.isnan(updates["inactive"])]
        return messages.pack(
            {
                "type": "hello",
                "mode": "finished",
                "name": self._name,
                "environment": self._flags.get("environment", "a run"),
                "rate_hz": rate,
                "workers": self._workers(),
                "elsewhere": self._elsewhere(),
                "interaction": self._flags.get("interaction", "async"),
                "stagger": stagger.label_of(self._flags.get("stagger", "")),
                "emulated": self._flags.get("emulated_inference_ms"),
                "actions": [],
                "pictures": False,
                "images": False,
                "learns": self._figures["learning"]["updates"] > 0,
                "first_tick": int(ticks["tick"][0]),
                "last_tick": int(ticks["tick"][-1]),
                "figures": {
                    **self._figures,
                    "all_ticks": len(ticks),
                    "all_updates": self._figures["learning"]["updates"],
                    "episodes": {
                        "count": len(returns),
                        "return_so_far": self._figures["episodes"]["return_unfinished"],
                    },
                },
                "delays": tables.histogram(acting["tick"] - acting["obs_tick"]),
                "returns": tables.returns_curve(ended[: len(returns)], returns, rate),
                "progress": tables.progress_curve(ticks, rate),
                "inaction": tables.curve(
                    [part["tick"][-1] / rate for part in parts],
                    [100 * part["is_default"].mean() for part in parts],
                ),
                "values": tables.values_curve(
                    np.cumsum([len(part) for part in batches]),
                    [part["q"].mean() for part in batches],
                    [part["target_q"].mean() for part in batches],
                ),
                "inactive": tables.curve(counted["applied_version"], 100 * counted["inactive"]),
            }
        )

    def _workers(self) -> int:
        """How many there were, those that never decided anything included; of a run that was killed, those that did."""
        known = self._summary.get("inference", {}).get("workers", 1)
        return max(known, int(self._decisions["decision"]["worker"].max(initial=0)) + 1)

    def _elsewhere(self) -> dict[str, str]:
        """As `Assembly.elsewhere`, where they were at the end."""
        return {
            f"{name} {number}": machine["machine"]
            for machine in self._summary.get("machines", ())
            for name, numbers in (("worker", machine["inference_workers"]), ("learner", machine["learners"]))
            for number in numbers
        }

    def window(self, first: int, length: int) -> bytes:
        """Ticks `first` … `first + length − 1` and the inferences that touch them, as far as they exist."""
        length = min(max(length, 1), MOST_TICKS)
        start = int(np.clip(np.searchsorted(self._ticks["tick"], first), 0, max(0, len(self._ticks) - length)))
        shown = self._ticks[start : start + length]
        begin, end = shown["boundary_ns"][0], shown["boundary_ns"][-1]
        made = self._decisions["decision"]
        near = self._decisions[(made["end_ns"] >= begin) & (made["start_ns"] <= end)]
        step_ms = (end - begin) / 1e6 / max(1, len(shown) - 1) if len(shown) > 1 else 1.0
        return messages.pack(
            {
                "type": "window",
                "from": round((int(begin) - self.origin) / 1e6, 2),
                "to": round((int(end) - self.origin) / 1e6 + step_ms, 2),
                **tables.rows(shown, near, self.origin),
            }
        )


def _flag(line: str) -> tuple[str, str]:
    if line.startswith("#"):
        return "", ""
    name, _, value = line.removeprefix("--").partition("=")
    return name, value


def _text(path: pathlib.Path) -> str | None:
    return path.read_text() if path.exists() else None


async def show(run: FinishedRun, listener: Listener, until) -> None:
    """Serves the run until `until`, an asyncio.Event, is set."""
    viewers, greeting = Viewers(), run.greeting()

    def hear(viewer, message) -> None:
        if message:
            viewer.offer(run.window(message["first"], message["ticks"]))

    async def attend(socket) -> None:
        await viewers.attend(socket, lambda: greeting, KINDS, hear)

    async def work() -> None:
        await until.wait()
        viewers.close()

    await serve(application(RUN_PAGE, listener.token, attend), listener, work)
