"""The Ray cluster that this machine has joined: its machines, and what Ray places on them. Nothing else here calls Ray."""

import importlib.util
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

from rtrl_jax.errors import UserError

REACH_S = 3.0  # for an address to answer
LOOK_S, GIVEN_UP_S = 2.0, 20.0  # between two looks at the head; without an answer of it


class Machine(NamedTuple):
    """One of the cluster, as Ray numbers and names it."""

    id: str
    name: str
    address: str
    cores: int  # that Ray may give out there

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


class Head:
    """Of the cluster: whether it answers, looked at in a thread of its own, as who asks may have to wait.

    Ray ends a process that has joined a cluster a minute after its head is gone, whatever that process is doing.
    """

    def __init__(self, address: str):
        self.address, self._silent_since, self._over = address, None, threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        host, _, port = self.address.rpartition(":")
        while True:
            try:
                socket.create_connection((host, int(port)), REACH_S).close()
                self._silent_since = None
            except OSError:
                self._silent_since = self._silent_since or time.monotonic()
            if self._over.wait(LOOK_S):
                return

    def end(self) -> None:
        """Nobody looks any more."""
        self._over.set()

    @property
    def is_lost(self) -> bool:
        """Whether it has not answered for GIVEN_UP_S."""
        since = self._silent_since
        return since is not None and time.monotonic() - since > GIVEN_UP_S


class Cluster:
    """A Ray cluster that this process has joined, from the machine that the environment is on."""

    def __init__(self, ray):
        self._ray, self.head = ray, Head(ray.get_runtime_context().gcs_address)
        own, seen = ray.get_runtime_context().get_node_id(), {}
        machines = []
        for node in sorted((node for node in ray.nodes() if node["Alive"]), key=lambda node: node["NodeID"] != own):
            name = node["NodeManagerHostname"]
            seen[name] = seen.get(name, 0) + 1  # several of one name, as in tests, are numbered
            name += f"#{seen[name]}" if seen[name] > 1 else ""
            cores = int(node["Resources"].get("CPU", 0))
            machines.append(Machine(node["NodeID"], name, node["NodeManagerAddress"], cores))
        self.here, *others = machines
        self.others = sorted((machine for machine in others if machine.cores), key=lambda one: -one.cores)

    def named(self, name: str) -> Machine:
        """The machine of that name or address. Raises UserError."""
        machines = [self.here, *self.others]
        found = [machine for machine in machines if name in (machine.name, machine.address)]
        if len(found) != 1:
            known = ", ".join(map(str, machines))
            raise UserError(f"--learners_on={name}: {len(found)} machines are called so; there are {known}")
        return found[0]

    def place(self, kind: type, cores: int, machine: Machine | None = None, memory: int = 0):
        """An actor of a class with so many cores, and bytes: on that machine, or on any that has them, once one has."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where = NodeAffinitySchedulingStrategy(machine.id, soft=False) if machine else "DEFAULT"
        options = {"num_cpus": cores, "memory": memory or None, "scheduling_strategy": where}
        return self._ray.remote(kind).options(**options).remote()

    def outcome(self, reference, timeout_s: float = 0.0) -> tuple:
        """(whether a call has returned, what). Raises what `gone` knows, or what the call raised."""
        ready, _ = self._ray.wait([reference], timeout=timeout_s)
        return (True, self._ray.get(ready[0])) if ready else (False, None)

    def answer(self, reference, timeout_s: float = 0.0):
        """The same of a call that returns something: that, or None."""
        return self.outcome(reference, timeout_s)[1]

    @property
    def cores(self) -> int:
        """Of all machines, that Ray may give out."""
        return self.here.cores + sum(machine.cores for machine in self.others)

    @property
    def gone(self) -> type[Exception]:
        """What a call to an actor that is no more raises."""
        return self._ray.exceptions.RayError

    def kill(self, actor) -> None:
        with suppress(Exception):  # it may be gone, or its machine
            self._ray.kill(actor)

    def machine(self, node_id: str) -> Machine:
        """By Ray's number; one that has come since has its address for a name."""
        known = {machine.id: machine for machine in (self.here, *self.others)}
        if node_id in known:
            return known[node_id]
        node = next(node for node in self._ray.nodes() if node["NodeID"] == node_id)
        address = node["NodeManagerAddress"]
        return Machine(node_id, node["NodeManagerHostname"], address, int(node["Resources"].get("CPU", 0)))


@contextmanager
def joined(address: str | None):
    """Yields a `Cluster`, or None without an address. Raises UserError if there is no cluster, or no Ray."""
    if address is None:
        yield None
        return
    if importlib.util.find_spec("ray") is None:
        raise UserError("--cluster needs Ray: python -m pip install 'rtrl_jax[cluster]'")
    import ray

    mine = not ray.is_initialized()
    if mine:
        _check_reachable(address)
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
        except Exception as error:  # of many kinds, none of which is ours
            raise UserError(f"--cluster={address}: {_first_line(error)}; {START}") from None
    cluster = Cluster(ray)
    try:
        yield cluster
    finally:
        cluster.head.end()
        if mine:
            ray.shutdown()


START = "start a cluster with ray start --head on one machine and ray start --address=ITS_ADDRESS:6379 on the others"


def _check_reachable(address: str) -> None:
    """Ray itself would try for a long time."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACH_S).close()
    except (OSError, ValueError, OverflowError):
        raise UserError(
            f"--cluster={address}: no Ray cluster answers there (auto finds the one of this machine); {START}"
        ) from None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")


def what(error: Exception) -> str:
    """What happened there, out of what Ray says of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (not_installed(error) or next(iter(lines), type(error).__name__)).rstrip(".")


def not_installed(error: Exception) -> str:
    """What could not be imported there, in Python's words; "" if that was not it, and so another machine may do better."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line.startswith(("ModuleNotFoundError", "ImportError"))), "")
