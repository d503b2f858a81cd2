"""What is seen of an observation: shape, type, scale and words, of every kind of space; and what cannot be seen."""

import numpy as np
import pytest
from gymnasium import spaces

from rtrl_jax import UserError, environments
from rtrl_jax.environments.frames import small_grey
from rtrl_jax.environments.view import view


def box(low, high, shape, dtype):
    return spaces.Box(low, high, shape, dtype)


BYTES = {
    "colour": box(0, 255, (64, 48, 3), np.uint8),
    "channels first": box(0, 255, (4, 64, 48), np.uint8),
    "grey": box(0, 255, (64, 48), np.uint8),
}


@pytest.mark.parametrize(
    ("space", "shape", "dtype", "symbols", "divisor"),
    [
        (BYTES["colour"], (64, 48, 3), "uint8", False, ()),
        (BYTES["channels first"], (64, 48, 4), "uint8", False, ()),
        (BYTES["grey"], (64, 48, 1), "uint8", False, ()),
        (box(0, 255, (210, 160, 3), np.uint8), (96, 96, 3), "uint8", False, ()),
        (box(0, 255, (120, 40, 3), np.uint8), (96, 40, 3), "uint8", False, ()),
        (box(0, 255, (7, 7, 3), np.uint8), (7, 7, 3), "uint8", True, ()),  # MiniGrid
        (box(0, 1, (10, 10, 4), bool), (10, 10, 4), "uint8", True, (1.0,)),  # MinAtar
        (box(0, 1, (40, 40, 4), bool), (40, 40, 4), "uint8", False, (1.0,)),
        (box(0, 3, (6, 6), np.int64), (6, 6, 1), "uint8", True, (1.0,)),
        (box(-1, 3, (6, 6), np.int64), (6, 6, 1), "float32", True, (1.0,)),
        (box(0, 1, (3, 64, 48), np.float32), (64, 48, 3), "float32", False, (1.0,)),
        (box(-1, 1, (64, 48), np.float64), (64, 48, 1), "float32", False, (2.0,)),
        (box(0, 1, (3, 8, 10), np.float32), (8, 10, 3), "float32", False, (1.0,)),
        (box(-np.inf, np.inf, (7, 11, 11), np.float32), (847,), "float32", False, ()),  # highway-env's occupancy grid
        (box(-np.inf, np.inf, (5, 5), np.float32), (25,), "float32", False, ()),  # and its kinematics
        (box(0, 1, (5, 5), np.float32), (25,), "float32", False, (0.5,)),
        (box(0, 255, (128,), np.uint8), (128,), "uint8", False, (127.5,)),  # a console's memory
        (spaces.Discrete(5, start=3), (5,), "uint8", False, ()),
        (spaces.MultiDiscrete([2, 3]), (5,), "uint8", False, ()),
        (spaces.MultiBinary(6), (6,), "uint8", False, ()),
        (spaces.Tuple([spaces.Discrete(2), box(-4, 4, (1,), np.float32)]), (3,), "float32", False, (1.0, 1.0, 4.0)),
        (box(-3.4e38, 3.4e38, (2,), np.float32), (2,), "float32", False, ()),
    ],
)
def test_what_is_seen_of_a_space(space, shape, dtype, symbols, divisor):
    found = view(space)
    assert (found.shape, found.dtype, found.symbols, found.divisor) == (shape, dtype, symbols, divisor)
    seen = found.of(space.sample())
    assert (seen.shape, seen.dtype) == (shape, dtype)


def test_pixels_stay_what_and_where_they_were():
    for name, space in BYTES.items():
        given = space.sample()
        seen = view(space).of(given)
        wanted = given[..., None] if name == "grey" else np.moveaxis(given, 0, -1) if "first" in name else given
        assert (seen == wanted).all()
        given[...] = 0
        assert seen.any(), "it is the world's own array"


def test_large_images_are_brought_down_by_area_and_sizes_are_as_asked_for():
    space = box(0, 255, (192, 96, 3), np.uint8)
    given = space.sample()
    means = given.reshape(96, 2, 96, 3).mean(1)
    assert np.abs(view(space).of(given) - means).max() <= 1
    assert view(space, size=(20, 10)).of(given).shape == (20, 10, 3)
    assert view(space, size=(20, 10)).symbols is False


@pytest.mark.parametrize("channels", [5, 6, 9])
def test_many_channels_are_brought_down_as_few_are(channels):
    given = box(0, 255, (200, 150, channels), np.uint8).sample()
    found = view(box(0, 255, given.shape, np.uint8)).of(given)
    for channel in range(channels):
        alone = given[..., channel : channel + 1]
        np.testing.assert_array_equal(
            found[..., channel : channel + 1], view(box(0, 255, alone.shape, np.uint8)).of(alone)
        )


def test_a_mean_of_walls_and_floors_is_no_whole_number():
    space = box(0, 1, (200, 200), np.int8)
    given = space.sample()
    found = view(space)
    assert found.dtype == "float32"
    assert found.of(given).mean() == pytest.approx(given.mean(), abs=1e-3)


def test_grey84_is_what_games_have():
    picture = BYTES["colour"].sample()
    for space, given in ((BYTES["colour"], picture), (box(0, 255, (3, 64, 48), np.uint8), picture.transpose(2, 0, 1))):
        assert (view(space, "grey84").of(given) == small_grey(picture)).all()


def test_each_field_is_scaled_by_its_own_bounds_if_it_has_some():
    space = spaces.Dict(
        {
            "at": box(np.float32([-2, 0]), np.float32([2, 10]), (2,), np.float32),
            "moving": box(np.float32([-1, -np.inf]), np.float32([1, np.inf]), (2,), np.float32),
            "where": spaces.Discrete(3),
        }
    )
    found = view(space)
    assert found.offset == (0, 5, 0, 0, 0, 0, 0)
    assert found.divisor == (2, 5, 1, 1, 1, 1, 1)
    assert found.measured == (True, True, True, True, False, False, False)
    assert found.of({"at": [1, 2], "moving": [3, 4], "where": 1}).tolist() == [1, 2, 3, 4, 0, 1, 0]


@pytest.mark.parametrize(
    ("space", "kind", "size", "says"),
    [
        (BYTES["colour"], "grey84", (64, 64), "84x84 with --observation=grey84"),
        (box(-1, 1, (4,), np.float32), "image", None, "--observation=image: its observations are no images"),
        (box(-1, 1, (4,), np.float32), "grey84", None, "takes pictures of bytes"),
        (box(0, 255, (64, 48, 4), np.uint8), "grey84", None, "takes pictures of bytes"),
        (box(-1, 1, (4,), np.float32), "auto", (64, 64), "--image_size is of images"),
        (box(-1, 1, (0,), np.float32), "auto", None, "hold no numbers"),
        (spaces.Text(4), "image", None, "no images but of a Text space"),
    ],
)
def test_what_cannot_be_seen_so(space, kind, size, says):
    with pytest.raises(UserError, match=says) as error:
        view(space, kind, size)
    assert "\n" not in str(error.value)


def test_bounds_that_are_no_numbers():
    space = spaces.Dict({"at": box(-1, 1, (2,), np.float32)})
    space["at"].low[1] = np.nan
    with pytest.raises(UserError, match=r"the bounds of the field 'at' of its observations are NaN"):
        view(space)


@pytest.mark.parametrize(
    ("space", "given"),
    [
        (BYTES["colour"], np.zeros((64, 47, 3), np.uint8)),
        (box(-1, 1, (4,), np.float32), np.zeros(5, np.float32)),
        (spaces.Dict({"a": box(-1, 1, (4,), np.float32)}), {"b": np.zeros(4)}),
        (spaces.Discrete(3), 5),
        (box(0, 9, (6, 6), np.int64), np.full((6, 6), -1)),
        (box(0, 255, (3,), np.uint8), np.array([300, 0, 5])),
        (box(0, 10, (1,), np.int32), np.array([0.9])),
        (spaces.Dict({"a": box(0, 255, (3,), np.uint8)}), {"a": np.array([0, -1, 5])}),
    ],
)
def test_what_does_not_fit_its_space_is_named(space, given):
    with pytest.raises(UserError, match="an observation does not fit its own space"):
        view(space).of(given)


def test_a_game_in_colour():
    game = environments.make("atari/Boxing", observation="image", image_size=(70, 80))
    assert game.spec.observation_shape == game.reset(seed=0).shape == (70, 80, 3)
    frame, *_ = game.step(1)
    assert frame.std(axis=2).any(), "it is grey"
    assert game.spec.has_pixels
    game.close()
    for options, says in (({"observation": "vector"}, "seen as a picture"), ({"image_size": (9, 9)}, "84x84 grey")):
        with pytest.raises(UserError, match=says):
            environments.make("atari/Boxing", **options)
    assert (environments.make("atari/Boxing", observation="grey84").reset(seed=0).shape) == (84, 84, 1)
