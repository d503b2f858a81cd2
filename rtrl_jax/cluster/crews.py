"""A crew on each other machine that a run takes, as its supervisor sees them; and another machine for the crew of a lost one.

Ray places a `Host` for each crew and reserves a core for each of its processes; a crew that has lost its machine waits in Ray's
queue until there is room for it somewhere. What goes on each tick does not pass through Ray.
"""

import dataclasses
import math
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

from rtrl_jax.board.layout import Board
from rtrl_jax.cluster.fields import Link
from rtrl_jax.cluster.host import Host, installed
from rtrl_jax.cluster.joining import Cluster, Machine, not_installed, what
from rtrl_jax.core.assembly import Assembly
from rtrl_jax.errors import UserError
from rtrl_jax.page.listener import Listener

PLACED_S = 60.0  # for a machine to start a process of ours
LOOK_S = 0.5  # between two looks at a host
DOWN_S = 3.0  # without a connection until a crew is given up: its bridge, or ours, may be starting anew
ENDING_S = 6.0
BACKOFF_S, LONGEST_BACKOFF_S, FORGOTTEN_S = 0.5, 30.0, 300.0  # until a crew that was lost again is placed again


@dataclasses.dataclass
class _Crew:
    number: int
    processes: int
    actor: object
    machine: Machine | None
    incarnation: int = 1  # and one more for each time that it was lost
    beginning: object = None  # the call that starts its bridge, until it has returned
    described: object = None  # what was asked of the host, and is not answered yet
    looked: object = None
    began: bool = False
    look_at: float = 0.0
    down_since: float | None = None
    again_at: float = 0.0
    machines_lost: int = 0
    failed: list[float] = dataclasses.field(default_factory=list)  # when it had to be placed again, of late
    names: str = ""


class Crews:
    """Of one run. It never waits for any of them once the run has begun. `fatal` says what ended the run."""

    def __init__(self, cluster: Cluster, sizes: list[int], share: int, learners: list[int]):
        """Places the hosts.

        Args:
          sizes: workers for each of the cluster's other machines.
          share: workers of a process.
          learners: the same, of learners, who are all on one.

        Raises UserError, naming the machine, if something else is installed there, or it has no cores free.
        """
        self._cluster, self._installed = cluster, installed()
        self.fatal: str | None = None
        chosen = [each for each in zip(cluster.others, sizes, learners, strict=True) if any(each[1:])]
        self.sizes = tuple(size for _, size, _ in chosen)
        self.learners = next((number for number, (_, _, learners) in enumerate(chosen) if learners), None)
        self._crews = []
        for number, (machine, size, learners) in enumerate(chosen):
            processes = math.ceil(size / share) + learners
            self._crews.append(_Crew(number, processes, cluster.place(Host, processes, machine), machine))
        try:
            self._check()
        except BaseException:
            self._kill()
            raise

    def _check(self) -> None:
        asked = [(crew, crew.actor.describe.remote()) for crew in self._crews]
        until = time.monotonic() + PLACED_S
        for crew, reference in asked:
            try:
                told = self._cluster.answer(reference, max(0.0, until - time.monotonic()))
            except self._cluster.gone as error:
                raise UserError(f"machine {crew.machine} cannot start a process of ours: {what(error)}") from None
            if told is None:
                raise UserError(
                    f"machine {crew.machine} has no {crew.processes} cores free for inference workers and learners: give fewer, "
                    "or end what else runs on the cluster"
                )
            if reason := self._difference(told["installed"], crew.machine):
                raise UserError(reason)

    def _difference(self, there: dict, machine: Machine) -> str | None:
        for name, version in self._installed.items():
            if there.get(name) != version:
                return (
                    f"machine {machine} has {name} {there.get(name)}, this one {version}: install the same on both "
                    "(python -m pip install -c constraints.txt 'rtrl_jax[cluster]')"
                )
        return None

    @property
    def machines(self) -> tuple[str, ...]:
        """Their names, in order of the crews."""
        return tuple(crew.machine.name for crew in self._crews)

    def table(self, assembly: Assembly) -> list[str]:
        """Which machine runs what, a line for each."""
        here = ", ".join(process.name for process in assembly.processes if process.crew is None)
        return [f"{self._cluster.here}: {here}"] + [f"{crew.machine}: {_names(assembly, crew)}" for crew in self._crews]

    def begin(self, assembly: Assembly, board: Board, listener: Listener) -> None:
        """Starts each crew's bridge, which starts the crew."""
        self._assembly, self._board, self._listener = assembly, board, listener
        for crew in self._crews:
            crew.names = _names(assembly, crew)
            self._begin(crew)

    def _begin(self, crew: _Crew) -> None:
        told = {
            "assembly": dataclasses.asdict(self._assembly),
            "crew": crew.number,
            "incarnation": crew.incarnation,
            "machine": str(crew.machine),
            "home": self._listener.socket.getsockname()[:2],
            "token": self._listener.token,
        }
        crew.beginning = crew.actor.begin.remote(told)
        crew.began, crew.down_since = True, None

    def look(self, fail: Callable, say: Callable[[str], None], starting: bool) -> None:
        """What is new of each; one that is lost goes elsewhere. Args: fail: see `Watch`. starting: whether none may be lost."""
        now = time.monotonic()
        if self._cluster.head.is_lost:
            self.fatal = f"the head of the Ray cluster ({self._cluster.head.address}) does not answer any more"
            return
        for crew in self._crews:
            reason = self._look(crew, fail, now)
            if reason is None:
                continue
            if starting:
                self.fatal = f"{crew.machine} {reason} while starting"
            crew.machines_lost += 1
            fail(str(crew.machine), f"{reason}: {crew.names} wait for a machine with room", replaced=False)
            self._place_again(crew, now)
        for crew in self._crews:
            if not crew.began and now >= crew.again_at:
                self._go_on_elsewhere(crew, fail, say, now)

    def _look(self, crew: _Crew, fail: Callable, now: float) -> str | None:
        """Why a crew is lost, if it is."""
        if not crew.began:
            return None
        up = Link(*self._board.link[crew.number].tolist())
        if (up.up and up.incarnation == crew.incarnation) or not self._board.ready[self._assembly.bridge]:
            crew.down_since = None
        elif up.incarnation == crew.incarnation and crew.down_since is None:  # it has been there
            crew.down_since = now
        if crew.down_since is not None and now - crew.down_since > DOWN_S:
            return "is not heard any more"
        try:
            # Raises what kept it from starting its bridge, if something did.
            if crew.beginning is not None and self._cluster.outcome(crew.beginning)[0]:
                crew.beginning = None
            if crew.looked is None and now >= crew.look_at:
                crew.looked, crew.look_at = crew.actor.look.remote(), now + LOOK_S
            said = crew.looked and self._cluster.answer(crew.looked)
        except self._cluster.gone as error:
            return f"cannot start a bridge ({what(error)})" if crew.beginning else f"was lost ({type(error).__name__})"
        if said is None:
            return None
        crew.looked = None
        for event in said["events"]:
            if event.get("fatal"):  # it ends the run, as on this machine: another crew would come to the same
                self.fatal = f"{event['reason']}, on {crew.machine}"
                continue
            on = "" if event["name"] == str(crew.machine) else f" on {crew.machine}"
            fail(
                event["name"] + on, event["reason"], trace=event.get("trace", ""), replaced=event.get("replaced", False)
            )
        if said["status"] is not None and self.fatal is None:
            last = said["trace"].splitlines()[-1:] or [f"exit status {said['status']}"]
            return f"lost its bridge ({last[0]})"
        return None

    def _place_again(self, crew: _Crew, now: float) -> None:
        self._cluster.kill(crew.actor)
        crew.failed = [when for when in crew.failed if now - when < FORGOTTEN_S] + [now]
        crew.again_at = now + min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (len(crew.failed) - 1)) - BACKOFF_S
        crew.incarnation += 1
        crew.began, crew.actor, crew.beginning, crew.described, crew.looked = False, None, None, None, None

    def _go_on_elsewhere(self, crew: _Crew, fail: Callable, say: Callable[[str], None], now: float) -> None:
        """Asks for room, and begins once there is some."""
        try:
            if crew.actor is None:
                crew.actor = self._cluster.place(Host, crew.processes)
                crew.described = crew.actor.describe.remote()
            told = self._cluster.answer(crew.described)
            if told is None:
                return
            crew.machine = self._cluster.machine(told["machine"])
            reason = self._difference(told["installed"], crew.machine)
        except self._cluster.gone as error:
            if not (lacks := not_installed(error)):  # it was to begin on a machine of whose loss Ray did not know yet
                self._place_again(crew, now)
                return
            reason = f"a machine cannot start a process of ours: {lacks}"
        if reason:
            fail(crew.names, reason)
            self._place_again(crew, now)
            crew.again_at = now + LONGEST_BACKOFF_S
            return
        say(f"{crew.names} go on on {crew.machine}")
        self._begin(crew)

    def figures(self) -> list[dict]:
        """For summary.json: of each crew's machine what its clock and its network are like."""
        found = []
        for crew in self._crews:
            link = Link(*self._board.link[crew.number].tolist())
            known = link.round_trip_ns >= 0
            found.append(
                {
                    "machine": crew.machine.name,
                    "address": crew.machine.address,
                    "inference_workers": [w for process in self._assembly.crew(crew.number) for w in process.workers],
                    "learners": [p.learner for p in self._assembly.crew(crew.number) if p.learner is not None],
                    "round_trip_ms": link.round_trip_ns / 1e6 if known else None,
                    "clock_ahead_ms": link.offset_ns / 1e6 if known else None,
                    "clock_uncertain_ms": link.round_trip_ns / 2e6 if known else None,
                    "lost": crew.machines_lost,
                }
            )
        return found

    def end(self) -> None:
        """Waits for all bridges to end by themselves, for a while, and takes the hosts away."""
        if self._cluster.head.is_lost:  # what was placed ends with this process, and calls would wait for ever
            return
        until = time.monotonic() + ENDING_S
        asked = [crew.actor.end.remote() for crew in self._crews if crew.began]
        for reference in asked:
            with suppress(self._cluster.gone):
                self._cluster.answer(reference, max(0.0, until - time.monotonic()))
        self._kill()

    def _kill(self) -> None:
        for crew in self._crews:
            if crew.actor is not None:
                self._cluster.kill(crew.actor)


def _names(assembly: Assembly, crew: _Crew) -> str:
    return ", ".join(process.name for process in assembly.crew(crew.number))


@contextmanager
def listening(cluster: Cluster | None):
    """Yields where crews connect: a `Listener` on this machine's address in the cluster, with the token that they are told."""
    if cluster is None:
        yield None
        return
    with socket.socket() as bound:
        bound.bind((cluster.here.address, 0))
        bound.listen(64)
        yield Listener(bound, cluster.here.address, secrets.token_urlsafe(32))
