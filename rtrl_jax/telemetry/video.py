"""Films a run: each tick's picture with the action in force, β marked, into an .mp4 of which a second is a second of the run.

The film is made in a thread of the supervisor's, at the lowest priority, from the pictures that the environment process leaves on
the board. Above `MOST_FPS` ticks a second only every second (third, …) tick is shown; a tick that slipped, or whose picture was
overwritten before it was taken, is shown by the picture before it, so that the film keeps time.
"""

import contextlib
import importlib.util
import math
import os
import pathlib
import threading
import time
from fractions import Fraction

import numpy as np

from rtrl_jax.board.ring import Ring
from rtrl_jax.errors import UserError

MOST_FPS = 61.0
LOOK_S = 0.05
AT_ONCE = 16  # pictures taken from the board at a time
NICENESS = 19
FAST = ("-preset", "ultrafast", "-crf", "23", "-threads", "1")


def check(path: str, picture_shape, environment: str) -> pathlib.Path:
    """The file to write. Raises UserError if it cannot be written, or there is nothing to film or to film with."""
    file = pathlib.Path(path).expanduser().absolute()
    if file.suffix != ".mp4":
        raise UserError(f"--video={path}: it should end in .mp4")
    if file.exists() or file.is_symlink():
        raise UserError(f"--video={path} is there already: name a new file (nothing was overwritten)")
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise UserError(f"--video={path}: {file.parent} is no folder that you may write to")
    if not all(importlib.util.find_spec(name) for name in ("imageio", "imageio_ffmpeg")):
        raise UserError("--video needs imageio and its ffmpeg: python -m pip install 'imageio[ffmpeg]'")
    if picture_shape is None:
        raise UserError(f"--video: {environment} has no picture to film, its observations are numbers")
    return file


def pace(rate_hz: float) -> tuple[int, Fraction]:
    """(ticks from one picture of the film to the next, pictures a second)."""
    every = math.ceil(rate_hz / MOST_FPS)
    return every, Fraction(rate_hz).limit_denominator(10_000) / every


class Film:
    """Begins when made, ends with `close`. What goes wrong is told by `error`: a run does not end with its film."""

    def __init__(self, board, rate_hz: float, path: pathlib.Path, painter, first_tick: int):
        """Args: painter: its see(TICK record) is called for every tick, its draw(picture, record) for those that are shown."""
        self._board, self._painter, self._path = board, painter, path
        self._every, self._fps = pace(rate_hz)
        self._tick = first_tick  # the next to be shown
        self._ticks = self._shown = 0  # ticks that have gone by, slipped ones too; pictures in the film
        self._last = None  # of them
        self._partial = path.with_name(f"{path.stem}.partial.mp4")
        self._writer = None
        self._closing, self._error = threading.Event(), None
        self.repeated = 0  # ticks shown by the picture before them because theirs was gone
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes in the rest and finishes the file. Call it when the environment has ended."""
        self._closing.set()
        self._thread.join()

    def error(self) -> str | None:
        """What went wrong since the last call, if something did."""
        error, self._error = self._error, None
        return error

    def _run(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)  # ffmpeg, begun here, is as nice
            last = False
            while not last:
                last = self._closing.is_set()  # looked at first: then everything is there
                while self._take():
                    pass
                if not last:
                    time.sleep(LOOK_S)
            self._finish()
        except Exception as error:
            self._error = f"filming into {self._path} failed: {' '.join(str(error).split()) or type(error).__name__}"
            with contextlib.suppress(Exception):
                self._close_writer()

    def _take(self) -> bool:
        """Shows what is new; False if there is nothing."""
        board = self._board
        first, pictures = Ring(board.picture_head, board.pictures).read(self._tick, AT_ONCE)
        stop = first + len(pictures)
        if stop <= self._tick:  # less if the environment of a resumed run has not begun to leave pictures
            return False
        begin, ticks = Ring(board.tick_head, board.tick_rows).read(self._tick, stop - self._tick)
        gone = [None] * max(0, first - begin)
        self.repeated += first - self._tick
        for picture, tick in zip([*gone, *pictures], ticks, strict=True):
            self._show(picture, tick)
        self._tick = stop
        return True

    def _show(self, picture: np.ndarray | None, tick) -> None:
        """Args: picture: None if it is gone."""
        self._painter.see(tick)
        self._ticks += int(tick["slipped"])
        self._catch_up()
        self._ticks += 1
        if self._is_behind() and picture is not None:
            self._last = self._painter.draw(picture, tick)
        self._catch_up()

    def _is_behind(self) -> bool:
        return self._shown * self._every < self._ticks

    def _catch_up(self) -> None:
        while self._is_behind() and self._last is not None:
            self._append(self._last)
            self._shown += 1

    def _append(self, picture: np.ndarray) -> None:
        if self._writer is None:
            self._writer = self._open()
        self._writer.append_data(picture)

    def _open(self):
        import imageio.v2

        return imageio.v2.get_writer(
            self._partial,
            format="FFMPEG",
            fps=float(self._fps),
            input_params=["-r", f"{self._fps.numerator}/{self._fps.denominator}"],  # fps has two digits only
            codec="libx264",
            macro_block_size=2,
            quality=None,
            ffmpeg_log_level="error",
            # Of a film that is cut off, all but the last second can be seen.
            output_params=[*FAST, "-g", "60", "-movflags", "frag_keyframe+empty_moov"],
        )

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _finish(self) -> None:
        if self._writer is None:
            return
        self._close_writer()
        os.link(self._partial, self._path)  # unlike a renaming, this does not write over what came meanwhile
        self._partial.unlink()
