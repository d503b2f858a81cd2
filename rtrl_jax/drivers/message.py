"""What the supervisor tells a process it starts: the assembly and the process's place in it, as JSON. Nothing is pickled."""

import dataclasses
import json
import os
import socket

from rtrl_jax.board.layout import Dimensions
from rtrl_jax.board.snapshots import Leaf
from rtrl_jax.drivers import device
from rtrl_jax.drivers.assembly import Assembly, Process
from rtrl_jax.environments import Spec
from rtrl_jax.page.door import Door
from rtrl_jax.settings import Settings


def write(assembly: Assembly, process: Process, board_fd: int, incarnation: int, door: Door | None = None) -> str:
    """Args: incarnation: 0 for the first process in that place, 1 for its first replacement. door: for the page."""
    plain = {
        "assembly": dataclasses.asdict(assembly),
        "place": process.number,
        "incarnation": incarnation,
        "board_fd": board_fd,
        "core": process.core,
        "niceness": process.niceness,
        "supervisor": os.getpid(),
        "environment": device.environment(assembly.settings.device if process.uses_networks else device.IN_PLACE),
        "door": door and {"listener": door.listener.fileno(), "host": door.host, "token": door.token},
    }
    return json.dumps(plain)


def read_door(plain: dict) -> Door:
    """The page's door, whose socket this process was given."""
    return Door(socket.socket(fileno=plain["door"]["listener"]), plain["door"]["host"], plain["door"]["token"])


def read_assembly(plain: dict) -> Assembly:
    """The assembly out of a decoded message."""
    plain = plain["assembly"]
    return Assembly(
        settings=Settings(**plain["settings"]),
        spec=Spec(*(tuple(value) if isinstance(value, list) else value for value in plain["spec"])),
        network=plain["network"],
        width=plain["width"],
        inference_workers=plain["inference_workers"],
        learner_workers=plain["learner_workers"],
        session=plain["session"],
        processes=tuple(Process(**{**process, "workers": tuple(process["workers"])}) for process in plain["processes"]),
        leaves=_leaves(plain["leaves"]),
        optimiser_leaves=_leaves(plain["optimiser_leaves"]),
        prepared_leaves=_leaves(plain["prepared_leaves"]),
        plan=_tuples(plain["plan"]),
        dimensions=Dimensions(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in plain["dimensions"].items()}
        ),
    )


def _leaves(plain: list) -> tuple[Leaf, ...]:
    return tuple(Leaf(tuple(shape), offset, dtype) for shape, offset, dtype in plain)


def _tuples(plain):
    return tuple(map(_tuples, plain)) if isinstance(plain, list) else plain
