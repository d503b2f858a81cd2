"""What the environment keeps for learning, told to the learners' machine: frames and acts, in order, by their numbers.

So the rings there hold what the rings here hold, a little later; a machine that comes in later is told all that there is.
Frames are told before the acts that name them. What was overwritten here before it could be told is left out there too.
"""

import numpy as np

from rtrl_jax.board.layout import Board
from rtrl_jax.board.records import frames_named

RECENT = 4096  # frames that an act to come may name, where there are no acts yet
MARGIN = 1024  # acts that may be overwritten while they are being told
AT_ONCE_BYTES = 1 << 20  # in a message


def types(board: Board) -> dict[str, np.dtype]:
    """Of the arrays in messages."""
    return {"frames": board.kept_frames.dtype, "acts": board.act_rows.dtype}


class Source:
    """On the environment's machine."""

    def __init__(self, board: Board, acts: int, frames: int):
        """Args: acts, frames: how far the rings there have come."""
        self._board, self._act, self._frame = board, acts, frames
        self._first_frame = 0  # those before this one are not there
        if not (0 < frames <= board.kept.head and acts <= board.acts.head):
            self._begin_anew()

    def portion(self) -> tuple[dict, dict] | None:
        """The next message: values and arrays; None if there is nothing new."""
        acts, kept = self._board.acts, self._board.kept
        end = acts.head  # read before the frames that these acts name
        if self._frame < kept.head:
            numbers = np.arange(self._frame, min(kept.head, self._frame + _at_once(self._board.kept_frames)))
            found = {"first_frame": self._frame}, {"frames": acts.frames(numbers)}
            if not kept.holds(self._frame):  # the acts would not survive below either, but why send all this
                return self._begin_anew()
            self._frame += len(numbers)
            return found
        while self._act < end:
            numbers = np.arange(self._act, min(end, self._act + _at_once(self._board.act_rows)))
            rows = acts.rows(numbers)
            if not acts.survive(numbers, rows).all():
                return self._begin_anew()
            self._act += len(numbers)
            oldest = np.min([named.min(axis=-1) for named in frames_named(rows)], axis=0)
            lacking = int((oldest < self._first_frame).sum())  # these come first, since what rows name gets no older
            if lacking < len(rows):
                return {"first_act": int(numbers[lacking])}, {"acts": rows[lacking:]}
        return None

    def _begin_anew(self) -> tuple[dict, dict]:
        """With the oldest act that will be there for a while."""
        acts, kept = self._board.acts, self._board.kept
        self._act = acts.oldest_safe(acts.head, min(MARGIN, acts.capacity // 8))
        if self._act < acts.head:
            self._frame = int(min(named.min() for named in frames_named(acts.rows(np.array([self._act])))))
        else:
            self._frame = max(0, kept.head - min(RECENT, len(kept.rows) // 2))
        self._first_frame = self._frame
        return {}, {}


def _at_once(rows: np.ndarray) -> int:
    return max(1, AT_ONCE_BYTES // max(1, rows[:1].nbytes))


class Sink:
    """On the learners' machine: the one writer of these rings."""

    def __init__(self, board: Board):
        self._board = board

    @property
    def heads(self) -> tuple[int, int]:
        """How many acts and frames have come, or been left out."""
        return self._board.acts.head, self._board.kept.head

    def take(self, values: dict, arrays: dict) -> None:
        """What `Source.portion` says. One after another, as readers count on."""
        board = self._board
        if "frames" in arrays:
            first = values["first_frame"]
            if first > board.kept_head[0]:
                board.kept_head[0] = first
            for frame in arrays["frames"][int(board.kept_head[0]) - first :]:
                board.kept.append(frame)
        if "acts" in arrays:
            first = values["first_act"]
            if first > board.act_head[0]:  # those between will never be there, and those before are not counted on
                board.act_first[0] = first
                board.act_head[0] = first
            for row in arrays["acts"][int(board.act_head[0]) - first :]:
                board.acts.append(row)
