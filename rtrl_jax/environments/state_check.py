"""Loads save states into the emulator, one after another, for `importing`: a process of its own, as it may not survive.

The question comes as JSON on standard input. Each state's name is printed before it is loaded, so that the last line
names the one that brought the emulator down; exit status 1 and a reason as the last line for one that is not of this game.
"""

import json
import pathlib
import sys

from rtrl_jax.environments.gameboy import Console, Variable


def main() -> int:
    question = json.load(sys.stdin)
    console = Console(question["rom"])
    size = len(console.save())
    for name in question["states"]:
        print(name, flush=True)
        state = pathlib.Path(question["rom"]).with_name(name).read_bytes()
        if len(state) != size:
            print(f"{name}.state has {len(state)} bytes in place of {size}")
            return 1
        console.restore(state)
        console.step(frames=2)
        for variable, address, kind, least, most in question["plausible"]:
            value = console.read(Variable(address, kind))
            if not least <= value <= most:
                print(f"{name}.state cannot be: its {variable} is {value}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
