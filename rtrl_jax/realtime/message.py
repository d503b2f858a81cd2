"""What the supervisor tells a process it starts: the assembly and the process's place in it, as JSON. Nothing is pickled."""

import dataclasses
import json
import os
import socket

from rtrl_jax import actions
from rtrl_jax.board.layout import Dimensions
from rtrl_jax.board.snapshots import Leaf
from rtrl_jax.core import accelerator
from rtrl_jax.core.assembly import Assembly, Process
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.page.listener import Listener
from rtrl_jax.settings import Settings


def write(
    assembly: Assembly, process: Process, board_fd: int, incarnation: int = 0, listener: Listener | None = None
) -> str:
    """Args: incarnation: 0 for the first process in that place, 1 for its first replacement. listener: for page and bridge."""
    plain = {
        "assembly": dataclasses.asdict(assembly),
        "process": dataclasses.asdict(process),
        "incarnation": incarnation,
        "board_fd": board_fd,
        "supervisor": os.getpid(),
        "environment": accelerator.environment(
            assembly.settings.device if process.uses_networks else accelerator.IN_PLACE
        ),
        "listener": listener and {"socket": listener.socket.fileno(), "host": listener.host, "token": listener.token},
    }
    return json.dumps(plain)


def read_listener(plain: dict) -> Listener:
    """The listener whose socket this process was given."""
    told = plain["listener"]
    return Listener(socket.socket(fileno=told["socket"]), told["host"], told["token"])


def read_process(plain: dict) -> Process:
    """Out of a decoded message: the process that it is for."""
    return Process(**_tuples(plain["process"]))


def read_assembly(plain: dict) -> Assembly:
    """The assembly out of a decoded message."""
    plain = plain["assembly"]
    model = plain["model"]
    leaves = {
        name: tuple(Leaf(tuple(shape), offset, dtype) for shape, offset, dtype in plain[name])
        for name in ("leaves", "optimiser_leaves", "prepared_leaves")
    }
    made = {
        "model": Model(
            settings=Settings(**model["settings"]),
            spec=_spec(model["spec"]),
            network=model["network"],
            width=model["width"],
            plan=_tuple(model["plan"]),
        ),
        "processes": tuple(Process(**_tuples(process)) for process in plain["processes"]),
        "dimensions": Dimensions(**_tuples(plain["dimensions"])),
        "machines": _tuple(plain["machines"]),
    }
    return Assembly(**{**plain, **made, **leaves})


def _spec(plain: list) -> Spec:
    spec = Spec(*map(_tuple, plain))
    return spec._replace(actions=actions.from_plain(spec.actions))


def _tuples(plain: dict) -> dict:
    return {name: _tuple(value) for name, value in plain.items()}


def _tuple(plain):
    """Lists, and lists in them, as the tuples that they were."""
    return tuple(map(_tuple, plain)) if isinstance(plain, list) else plain
