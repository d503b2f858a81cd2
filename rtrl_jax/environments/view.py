"""What is seen of a Gymnasium observation: decided once, from its space and what was asked for, and then made of each one.

Images keep their colour and, up to 96 rows and columns, their size; channels come last. Grids of up to 20 by 20 whole numbers are
symbols. Everything else is a vector, by Gymnasium's own flattening: whole numbers one-hot, numbers with bounds scaled by them.
What is kept for replay is what the world gave, as bytes where these can hold it: scaling is the network's.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import cv2
import numpy as np
from gymnasium import spaces

from rtrl_jax.environments.frames import SIDE, small_grey
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LARGEST_GRID, LARGEST_SIDE

AT_ONCE = 4  # channels that OpenCV resizes
KNOWN = 1e6  # bounds beyond that are none that anybody has thought about


class View(NamedTuple):
    """How an observation is seen. The names of most fields are `Spec`'s."""

    shape: tuple[int, ...]
    dtype: str
    see: Callable[[Any], np.ndarray]  # an observation of the space -> [*shape] of that dtype, a new array
    offset: tuple[float, ...] = ()
    divisor: tuple[float, ...] = ()
    measured: tuple[bool, ...] = (True,)
    symbols: bool = False
    observed_as: str = ""
    picture_shape: tuple[int, int, int] | None = None  # of an observation that a person can look at as well

    def of(self, observation) -> np.ndarray:
        """What is seen of it. Raises UserError if it is not of its space's shape: the world has changed under the agent."""
        try:
            seen = self.see(observation)
        except (ValueError, IndexError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"an observation does not fit its own space: {' '.join(str(error).split())}") from None
        if seen.shape != self.shape:
            raise UserError(f"an observation does not fit its own space: it gives {seen.shape}, not {self.shape}")
        return seen

    @property
    def fields(self) -> dict:
        """Those of a `Spec`."""
        return {
            "observation_shape": self.shape,
            "observation_dtype": self.dtype,
            **{name: getattr(self, name) for name in ("picture_shape", "offset", "divisor", "measured", "symbols")},
            "observed_as": self.observed_as,
        }


def view(space: spaces.Space, kind: str = "auto", size: tuple[int, int] | None = None) -> View:
    """Decides how observations of a space are seen.

    Args:
      kind: one of `settings.VIEWS`.
      size: (rows, columns) that images are brought to, by area interpolation; None: their own, at most `LARGEST_SIDE`.

    Raises:
      UserError: it cannot be seen so. The message goes on after the environment's name and a colon.
    """
    if not isinstance(space, spaces.Space):
        raise UserError(
            f"its observation_space is no space of Gymnasium's but of type {type(space).__name__}: give it one"
        )
    _check_bounds(space)
    if kind == "grey84":
        found = _grey(space)
    elif kind == "image" or (kind == "auto" and _looks_like_an_image(space)):
        return _image(space, size)
    else:
        found = _vector(space)
    if size is not None:
        what = "are 84x84 with --observation=grey84" if kind == "grey84" else "are seen as a vector"
        raise UserError(f"--image_size is of images, and its observations {what}: leave it out")
    return found


def _check_bounds(space: spaces.Space, field: str = "") -> None:
    for name, part in _parts(space):
        _check_bounds(part, f"{field}.{name}" if field else str(name))
    if isinstance(space, spaces.Box) and not (space.low <= space.high).all():  # nor are they if one is NaN
        where = f"the field {field!r} of its observations" if field else "its observations"
        raise UserError(f"the bounds of {where} are NaN, or in the wrong order: mend its observation_space")


def _parts(space: spaces.Space):
    """(name, part) of a space that is made of others."""
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    return list(enumerate(space.spaces)) if isinstance(space, spaces.Tuple) else []


# ---------------------------------------------------------------- images


def _looks_like_an_image(space: spaces.Space) -> bool:
    """Rows and columns with known bounds, the same for all; decimals with channels, or more than `LARGEST_GRID` of both."""
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3) or _range(space) is None:
        return False
    return len(space.shape) == 3 or _is_whole(space) or min(space.shape) > LARGEST_GRID


def _is_whole(space: spaces.Box) -> bool:
    return np.issubdtype(space.dtype, np.integer) or space.dtype == np.bool_


def _range(space: spaces.Box) -> tuple[float, float] | None:
    """The bounds that all its numbers have; None if they differ or are not known."""
    low, high = (np.unique(bound.astype(np.float64)) for bound in (space.low, space.high))
    if len(low) != 1 or len(high) != 1 or max(abs(low[0]), abs(high[0])) > KNOWN or low[0] == high[0]:
        return None
    return float(low[0]), float(high[0])


def _image(space: spaces.Space, size: tuple[int, int] | None) -> View:
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3):
        raise UserError(f"--observation=image: its observations are no images but {_in_words(space)}: leave it at auto")
    given, known, whole = space.shape, _range(space), _is_whole(space)
    first = len(given) == 3 and given[0] < min(given[1:])  # channels before rows and columns
    rows, columns, channels = (*given, 1) if len(given) == 2 else (*given[1:], given[0]) if first else given
    wanted = tuple(size) if size else (min(rows, LARGEST_SIDE), min(columns, LARGEST_SIDE))
    shrinks = wanted != (rows, columns)
    bytes_hold_it = whole and known is not None and known[0] >= 0 and known[1] <= 255
    # A mean of small whole numbers is none.
    dtype = "uint8" if bytes_hold_it and not (shrinks and known != (0.0, 255.0)) else "float32"
    symbols = whole and size is None and max(rows, columns) <= LARGEST_GRID

    def see(observation) -> np.ndarray:
        image = np.asarray(observation)
        if image.shape != given:
            raise ValueError(f"it has shape {image.shape}, not {given}")
        image = np.moveaxis(image, 0, -1) if first else image
        image = _copied(image.reshape(rows, columns, channels), dtype)
        return _resized(image, wanted) if shrinks else image

    pixels = bytes_hold_it and known == (0.0, 255.0)
    scaled = known is not None and not symbols and not pixels
    words = ["channels first"] if first else []
    if shrinks:
        words.append(f"by area interpolation of {rows}x{columns}")
    return View(
        (*wanted, channels),
        dtype,
        see,
        offset=(known[0],) if scaled and known[0] else (),
        divisor=(known[1] - known[0],) if scaled else (1.0,) if symbols and not pixels else (),
        symbols=symbols,
        observed_as=", ".join(words),
        picture_shape=(rows, columns, 3) if pixels and not (first or symbols) and channels in (1, 3) else None,
    )


def _copied(values: np.ndarray, dtype: str) -> np.ndarray:
    """The world may use its own array again."""
    if dtype == "uint8" and values.dtype not in (np.uint8, np.bool_):
        if not (values.min() >= 0 and values.max() <= 255):
            raise ValueError(f"it holds {values.min()} and {values.max()}, and its bounds lie within 0 and 255")
        if values.dtype.kind == "f" and (values != np.rint(values)).any():
            raise ValueError("it holds numbers that are not whole, and its space says that all are")
    return np.array(values, dtype, order="C")


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows, columns = size
    some = [np.ascontiguousarray(image[..., first : first + AT_ONCE]) for first in range(0, image.shape[2], AT_ONCE)]
    some = [cv2.resize(one, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns, -1) for one in some]
    return np.concatenate(some, axis=2)


def _grey(space: spaces.Space) -> View:
    shape = getattr(space, "shape", None) or ()
    last = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))
    first = len(shape) == 3 and not last and shape[0] in (1, 3)
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or not (last or first):
        raise UserError(
            f"--observation=grey84 takes pictures of bytes with one channel or three, and its observations are {_in_words(space)}"
            ": leave it at auto"
        )
    size = shape[1:] if first else shape[:2]

    def see(observation) -> np.ndarray:
        picture = np.asarray(observation)
        if picture.shape != shape:
            raise ValueError(f"it has shape {picture.shape}, not {shape}")
        return small_grey(np.ascontiguousarray(np.moveaxis(picture, 0, -1)) if first else picture)

    made = f"grey, by area interpolation of {size[0]}x{size[1]}"
    return View((SIDE, SIDE, 1), "uint8", see, observed_as=made, picture_shape=(*size, 3) if last else None)


# ---------------------------------------------------------------- vectors


class _Numbers(NamedTuple):
    """Of a vector's numbers, in the order in which Gymnasium flattens them."""

    offset: list[float]
    divisor: list[float]
    measured: list[bool]
    one_hot: bool  # whether all are zeros and ones that stand for whole numbers
    bytes_hold_it: bool


def _vector(space: spaces.Space) -> View:
    if wrong := _no_numbers(space):
        raise UserError(wrong)
    shape = (spaces.flatdim(space),)
    if not shape[0]:
        raise UserError("its observations hold no numbers: mend its observation_space")
    numbers = _numbers(space)
    dtype = "uint8" if numbers.bytes_hold_it else "float32"
    names = [str(name) for name, _ in _parts(space)]
    made = f"of the fields {', '.join(names)}" if isinstance(space, spaces.Dict) else ""
    if numbers.one_hot:
        made = "one-hot"
    return View(
        shape,
        dtype,
        lambda observation: _copied(_flat(space, observation), dtype),
        offset=_short(numbers.offset, 0.0),
        divisor=_short(numbers.divisor, 1.0),
        measured=_short(numbers.measured) or (True,),
        observed_as=made,
    )


def _flat(space: spaces.Space, observation) -> np.ndarray:
    """As Gymnasium flattens it, except that numbers of a Box stay what they are: its cast would hide those that do not fit."""
    if isinstance(space, spaces.Box):
        numbers = np.asarray(observation)
        if numbers.shape != space.shape:
            raise ValueError(f"it has shape {numbers.shape}, not {space.shape}")
        return numbers.ravel()
    if parts := _parts(space):
        return np.concatenate([_flat(part, observation[name]) for name, part in parts])
    return spaces.flatten(space, observation)


def _short(values: list, nothing=None) -> tuple:
    """One value for all if they are the same; none if that is the one that changes nothing."""
    values = tuple(values) if len(set(values)) > 1 else tuple(values[:1])
    return () if values == (nothing,) else values


def _numbers(space: spaces.Space) -> _Numbers:
    if parts := _parts(space):
        each = [_numbers(part) for _, part in parts]
        joined = ([*chain(*(getattr(one, name) for one in each))] for name in ("offset", "divisor", "measured"))
        return _Numbers(*joined, all(one.one_hot for one in each), all(one.bytes_hold_it for one in each))
    length = spaces.flatdim(space)
    if not isinstance(space, spaces.Box):
        discrete = isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)
        one_hot = discrete and not isinstance(space, spaces.MultiBinary)
        return _Numbers([0.0] * length, [1.0] * length, [False] * length, one_hot, discrete)
    low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    known = length > 0 and max(np.abs(low).max(), np.abs(high).max()) <= KNOWN
    small = known and _is_whole(space) and low.min() >= 0 and high.max() <= 255
    if not known:
        return _Numbers([0.0] * length, [1.0] * length, [True] * length, False, False)
    half = np.where(high > low, (high - low) / 2, 1.0)
    return _Numbers(((low + high) / 2).tolist(), half.tolist(), [True] * length, False, bool(small))


def _no_numbers(space: spaces.Space, field: str = "") -> str | None:
    """What part of these observations cannot be made into a vector, and what would help; None if all can."""
    if parts := _parts(space):
        found = (_no_numbers(part, f"{field}.{name}" if field else str(name)) for name, part in parts)
        return next(filter(None, found), None)
    try:
        if space.is_np_flattenable:
            return None
    except NotImplementedError:  # a kind of space of its own, such as MiniGrid's mission
        pass
    kind = type(space).__name__
    if not field:
        return (
            f"its observations ({kind}) cannot be made into a vector: wrap it so that they are numbers, with "
            "gymnasium.wrappers.TransformObservation"
        )
    return (
        f"the field {field!r} of its observations ({kind}) cannot be made into numbers: leave it out, with "
        "gymnasium.wrappers.FilterObservation or a wrapper of its own, in an environment that a module of yours registers"
    )


def _in_words(space: spaces.Space) -> str:
    if isinstance(space, spaces.Box):
        return f"{'x'.join(map(str, space.shape)) or 'one'} numbers of {space.dtype}"
    return f"of a {type(space).__name__} space"
