"""One picture of a film: the game, and below it the action in force, the return, and which of the last ticks were β's.

An action of the agent's is a filled cell, β an empty one with the letter in it: they differ in form, so they can be told apart in
grey too.
"""

import collections
import functools
import pathlib

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rtrl_jax import actions

HEIGHT, LEAST_WIDTH = 432, 480  # of the game, about; of the whole
BAND = 92
MARGIN = 12
REMEMBERED = 114  # ticks
INK, PAPER, SOFT, FILL = (20, 20, 20), (255, 255, 255), (120, 120, 120), (0, 90, 150)


class Painter:
    """Draws tick after tick; remembers the episode's return and the last ticks."""

    def __init__(
        self, picture_shape: tuple[int, int, int], action_names: tuple[str, ...], rate_hz: float, note: str = ""
    ):
        """Args: note: words to show throughout, e.g. that inference is emulated."""
        height, width, _ = picture_shape
        self._scale = max(1, round(HEIGHT / height))
        self._names, self._rate_hz, self._note = action_names, rate_hz, note
        self._game = (self._scale * height, self._scale * width)
        self.shape = (_even(self._game[0] + BAND), _even(max(LEAST_WIDTH, self._game[1])), 3)
        self._recent = collections.deque(maxlen=REMEMBERED)
        self._episode, self._return = None, 0.0

    def see(self, tick) -> None:
        """Args: tick: the next TICK record."""
        if int(tick["episode"]) != self._episode:
            self._episode, self._return = int(tick["episode"]), 0.0
        self._return += float(tick["reward"])
        self._recent.append(bool(tick["is_default"]))

    def draw(self, picture: np.ndarray, tick) -> np.ndarray:
        """Args: picture: [height, width, 3] uint8. tick: the record seen last. Returns `shape` uint8."""
        canvas = np.empty(self.shape, np.uint8)
        canvas[: self._game[0]] = INK
        left = (self.shape[1] - self._game[1]) // 2
        large = np.repeat(np.repeat(picture, self._scale, axis=0), self._scale, axis=1)
        canvas[: self._game[0], left : left + self._game[1]] = large
        canvas[self._game[0] :] = self._band(tick)
        return canvas

    def _band(self, tick) -> np.ndarray:
        image = Image.new("RGB", (self.shape[1], self.shape[0] - self._game[0]), PAPER)
        draw = ImageDraw.Draw(image)
        self._action(draw, tick)
        seconds = int(tick["tick"]) / self._rate_hz
        right = 180
        draw.text((right, 12), f"return {self._return:g}", font=_font(20, True), fill=INK)
        below = f"{seconds:.1f} s · tick {int(tick['tick']):,} · episode {int(tick['episode'])}"
        draw.text((right, 38), below, font=_font(14), fill=INK)
        if self._note:
            draw.text((self.shape[1] - MARGIN, 15), self._note, font=_font(12), fill=SOFT, anchor="ra")
        for number, is_default in enumerate(reversed(self._recent)):
            x = self.shape[1] - MARGIN - 4 * (number + 1)
            draw.rectangle((x, 78 if is_default else 66, x + 2, 81), fill=SOFT if is_default else FILL)
        return np.asarray(image)

    def _action(self, draw: ImageDraw.ImageDraw, tick) -> None:
        action, box = tick["action"], (MARGIN, 10, 165, 58)
        middle = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)
        name = actions.text(action, self._names)
        if not tick["is_default"]:
            draw.rectangle(box, fill=FILL)
            draw.text(middle, name, font=_font(22 if len(name) < 9 else 15, True), fill=PAPER, anchor="mm")
            return
        draw.rectangle(box, outline=INK, width=3)
        says = f"β: {name}" if name in self._names and name != "NOOP" else "β acts"
        draw.text(middle, says, font=_font(22 if len(says) < 9 else 15, True), fill=INK, anchor="mm")


def _even(number: int) -> int:
    return number + number % 2


@functools.cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Of matplotlib's, which has the Greek letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
