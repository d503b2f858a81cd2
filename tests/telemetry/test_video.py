"""The film: a picture for each tick, in step with the run, and β told from an action without colours."""

import fractions
import mmap
import time
from types import SimpleNamespace

import imageio.v2
import numpy as np
import pytest

from rtrl_jax.board.layout import Board, Dimensions, size
from rtrl_jax.board.records import TICK
from rtrl_jax.errors import UserError
from rtrl_jax.telemetry import video
from rtrl_jax.telemetry.film_picture import Painter

SHAPE = (32, 48, 3)


class Plain:
    """Shows the picture as it is."""

    def __init__(self):
        self.seen = []

    def see(self, tick):
        self.seen.append(int(tick["tick"]))

    def draw(self, picture, tick):
        return picture


def board(pictures: int = 8) -> Board:
    dimensions = Dimensions(256, (1,), "float32", 1, 4, 1, 2, 1, 64, pictures=pictures, picture_shape=SHAPE)
    return Board(dimensions, mmap.mmap(-1, size(dimensions)))


def tick(board: Board, number: int, slipped: int = 0) -> None:
    record = np.zeros((), TICK)
    record["tick"], record["slipped"] = number, slipped
    board.observations.ticks.append(record)
    board.shown.append(np.full(SHAPE, 10 * number, np.uint8))


def shades(path) -> list[int]:
    with imageio.v2.get_reader(path) as reader:
        return [round(float(np.mean(frame)) / 10) for frame in reader]


def test_a_picture_for_each_tick(tmp_path):
    shared, painter = board(pictures=32), Plain()
    film = video.Film(shared, 59.7275, tmp_path / "film.mp4", painter, 0)
    for number in range(20):
        tick(shared, number)
        time.sleep(0.02)
    film.close()
    assert film.error() is None
    assert film.repeated == 0
    assert shades(tmp_path / "film.mp4") == list(range(20))
    assert painter.seen == list(range(20))
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_ticks_that_slipped_or_whose_picture_is_gone_repeat_the_one_before(tmp_path):
    shared, painter = board(pictures=4), Plain()
    tick(shared, 0)
    tick(shared, 1, slipped=2)
    film = video.Film(shared, 60, tmp_path / "film.mp4", painter, 0)
    time.sleep(0.3)
    for number in range(2, 9):  # at once: more than there is room for
        tick(shared, number)
    film.close()
    assert shades(tmp_path / "film.mp4") == [0, 0, 0, 1, 1, 1, 1, 1, 6, 7, 8]
    assert film.repeated == 4
    assert painter.seen == list(range(9))


def test_the_film_of_a_resumed_run_begins_where_it_goes_on(tmp_path):
    shared, painter = board(pictures=32), Plain()
    for number in range(5):  # restored: records, but no pictures
        tick(shared, number)
    shared.pictures[:], shared.picture_head[0] = 0, 0
    film = video.Film(shared, 60, tmp_path / "film.mp4", painter, 5)
    time.sleep(0.2)
    shared.picture_head[0] = 5
    for number in range(5, 9):
        tick(shared, number)
    film.close()
    assert shades(tmp_path / "film.mp4") == [5, 6, 7, 8]
    assert film.repeated == 0


def test_a_fast_world_shows_every_so_many_ticks(tmp_path):
    shared = board(pictures=64)
    for number in range(24):
        tick(shared, number)
    film = video.Film(shared, 240, tmp_path / "film.mp4", Plain(), 0)
    film.close()
    assert shades(tmp_path / "film.mp4") == [0, 4, 8, 12, 16, 20]


@pytest.mark.parametrize(
    ("rate", "every", "fps"),
    [(60, 1, 60), (59.7275, 1, fractions.Fraction(23891, 400)), (240, 4, 60), (1000, 17, fractions.Fraction(1000, 17))],
)
def test_a_second_of_the_film_is_a_second_of_the_run(rate, every, fps):
    assert video.pace(rate) == (every, fps)


def test_what_goes_wrong_is_told_and_ends_nothing(tmp_path):
    shared = board()
    film = video.Film(shared, 60, tmp_path / "nowhere" / "film.mp4", Plain(), 0)
    tick(shared, 0)
    film.close()
    assert "No such file or directory" in film.error()
    assert film.error() is None


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("film.gif", SHAPE, ".mp4"),
        ("there.mp4", SHAPE, "already"),
        ("no/film.mp4", SHAPE, "no folder"),
        ("film.mp4", None, "no picture"),
    ],
)
def test_bad_files(tmp_path, name, shape, says):
    (tmp_path / "there.mp4").write_text("precious")
    with pytest.raises(UserError, match=says):
        video.check(str(tmp_path / name), shape, "gymnasium/CartPole-v1")
    assert (tmp_path / "there.mp4").read_text() == "precious"


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(video.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'imageio\[ffmpeg\]'"):
        video.check(str(tmp_path / "film.mp4"), SHAPE, "")


@pytest.mark.parametrize("shape", [(144, 160, 3), (210, 160, 3), (84, 84, 3), (1000, 2001, 3)])
def test_beta_and_an_action_differ_in_grey(shape):
    painter = Painter(shape, ("UP", "DOWNRIGHTFIRE"), 60.0, "inference emulated")
    record = np.zeros((), TICK)
    drawn = []
    for action, is_default in ((0, False), (1, False), (2, True)):
        record["action"], record["is_default"] = action, is_default
        painter.see(record)
        drawn.append(painter.draw(np.zeros(shape, np.uint8), record))
        assert drawn[-1].shape == painter.shape
        assert painter.shape[0] % 2 == painter.shape[1] % 2 == 0
    box = [picture[-82:-34, 20:160].mean(axis=-1) for picture in drawn]
    assert box[0].mean() < 130 < 180 < box[2].mean()


def test_the_return_is_the_episode_s():
    painter, seen = Painter(SHAPE, (), 60.0), SimpleNamespace(returns=[])
    record = np.zeros((), TICK)
    for episode, reward in ((0, 1.0), (0, 2.0), (1, 0.5)):
        record["episode"], record["reward"] = episode, reward
        painter.see(record)
        seen.returns.append(painter._return)
    assert seen.returns == [1.0, 3.0, 0.5]
