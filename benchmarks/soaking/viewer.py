"""Somebody who looks at a run's page and takes every message: python benchmarks/soaking/viewer.py http://127.0.0.1:8000/

Comes back when the page has died, and goes when the run has. Then it prints its connections as JSON: when the first and the last
message came (time.monotonic()), and how many.
"""

import json
import subprocess
import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

STARTING_S = 120.0  # until a page that is being replaced answers
GOING_S = 30.0


class Viewer:
    """One in a process of its own."""

    def __init__(self, address: str):
        self._process = subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE, text=True)

    def connections(self) -> list[dict]:
        """Its connections, once the run is over."""
        printed, _ = self._process.communicate(timeout=GOING_S)
        return json.loads(printed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


def main(address: str) -> None:
    connections = []
    while look(f"ws{address.removeprefix('http')}live", connections):
        time.sleep(0.05)
    print(json.dumps(connections))


def look(address: str, connections: list[dict]) -> bool:
    """One connection, to its end. Returns whether there may be another: nobody listens once the run is over."""
    taken = 0
    try:
        with connect(address, open_timeout=STARTING_S, proxy=None) as wire:
            while True:
                wire.recv()
                now = time.monotonic()
                if not taken:
                    connections.append({"first_s": now})
                taken += 1
                connections[-1] |= {"last_s": now, "messages": taken}
                wire.send(json.dumps({"type": "seen", "number": taken}))
    except ConnectionRefusedError:
        return False
    except (WebSocketException, OSError, EOFError):
        return True


if __name__ == "__main__":
    main(sys.argv[1])
