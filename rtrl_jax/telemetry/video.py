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
import subprocess
import threading
import time
from fractions import Fraction

import numpy as np

from rtrl_jax.errors import UserError

MOST_FPS = 61.0
LOOK_S = 0.05
AT_ONCE = 16  # pictures taken from the board at a time
NICENESS = 19
FAST = ("-preset", "ultrafast", "-crf", "23", "-threads", "1")
# Of a film that is cut off, all but the last second can be seen.
KEYFRAMES = ("-g", "60", "-movflags", "frag_keyframe+empty_moov")


def check(path: str, picture_shape, environment: str) -> pathlib.Path:
    """The file to write. Raises UserError if it cannot be written, or there is nothing to film or to film with."""
    file = pathlib.Path(path).expanduser().absolute()
    if file.suffix != ".mp4":
        raise UserError(f"--video={path}: it should end in .mp4")
    if file.exists() or file.is_symlink():
        raise UserError(f"--video={path} is there already: name a new file (nothing was overwritten)")
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise UserError(f"--video={path}: {file.parent} is no folder that you may write to")
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UserError("--video needs the ffmpeg of imageio: python -m pip install 'imageio[ffmpeg]'")
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
        self._ffmpeg = None
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
            said = self._last_words() or " ".join(str(error).split()) or type(error).__name__
            self._error = f"filming into {self._path} failed: {said}"

    def _last_words(self) -> str:
        """What ffmpeg has to say of its failure, in one line."""
        try:
            self._end_ffmpeg()
        except (OSError, RuntimeError) as error:
            return " ".join(str(error).split())
        return ""

    def _take(self) -> bool:
        """Shows what is new; False if there is nothing."""
        board = self._board
        first, pictures = board.shown.read(self._tick, AT_ONCE)
        stop = first + len(pictures)
        if stop <= self._tick:  # less if the environment of a resumed run has not begun to leave pictures
            return False
        begin, ticks = board.observations.ticks.read(self._tick, stop - self._tick)
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
        if self._ffmpeg is None:
            self._ffmpeg = self._begin(picture.shape)
        self._ffmpeg.stdin.write(np.ascontiguousarray(picture).data)

    def _begin(self, shape: tuple[int, int, int]) -> subprocess.Popen:
        """Starts ffmpeg. Not by imageio's own writer, which runs Python between fork and exec: not safe with JAX's threads."""
        import imageio_ffmpeg

        height, width, _ = shape
        given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(self._fps), "-i", "-"]
        made = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", *FAST, *KEYFRAMES, str(self._partial)]
        return subprocess.Popen(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *given, *made],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the supervisor alone
        )

    def _end_ffmpeg(self) -> None:
        ffmpeg, self._ffmpeg = self._ffmpeg, None
        if ffmpeg is None:
            return
        with contextlib.suppress(BrokenPipeError):
            ffmpeg.stdin.close()
        with ffmpeg.stderr as said:
            complaint = said.read().decode(errors="replace")
        if ffmpeg.wait():
            raise RuntimeError(complaint or f"ffmpeg ended with status {ffmpeg.returncode}")

    def _finish(self) -> None:
        if self._ffmpeg is None:
            return
        self._end_ffmpeg()
        os.link(self._partial, self._path)  # unlike a renaming, this does not write over what came meanwhile
        self._partial.unlink()
