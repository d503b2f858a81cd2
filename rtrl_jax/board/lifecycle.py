"""Who is there and whether the run goes on: the control word, and what each process says of itself.

The supervisor (or the one process of a virtual run) writes the control word; process p writes its own elements, and the
supervisor writes them only before p lives and once it is dead.
"""

from rtrl_jax.board.layout import RUNNING, STOPPING, Board


def start(board: Board, start_ns: int) -> None:
    """The word to begin. Args: start_ns: when boundary 0 is due."""
    board.start_ns[0] = start_ns
    board.control[0] = RUNNING


def stop(board: Board) -> None:
    board.control[0] = STOPPING


def is_running(board: Board) -> bool:
    return bool(board.control[0] == RUNNING)


def beat(board: Board, process: int, now_ns: int, step_ns: int = 0) -> None:
    """A sign of life. Args: step_ns: how long the step before it took, so that the next one is not taken for a hang."""
    board.heartbeat_ns[process] = now_ns
    if step_ns > board.expected_ns[process]:
        board.expected_ns[process] = step_ns


def set_ready(board: Board, process: int) -> None:
    board.ready[process] = 1


def clear(board: Board, process: int, workers=()) -> None:
    """The process is dead: it is not ready, reads no snapshot and takes no tickets. Args: workers: inference workers it ran."""
    board.ready[process] = board.pin[process] = 0
    for worker in workers:
        board.idle[worker] = 0
