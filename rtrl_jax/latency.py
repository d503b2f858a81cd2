"""Computation times that are stated, not measured: a constant or a distribution, written as a flag takes it."""

from collections.abc import Callable

import numpy as np

from rtrl_jax.errors import UserError

FORMS = (
    "a number of milliseconds, normal:MEAN,SD, lognormal:MEAN,SD, gamma:MEAN,SD or uniform:LOW,HIGH, each with "
    "+outlier:PROBABILITY,MS if some take that long instead"
)

MEASURED, TRACE = "measured", "trace:"  # what virtual time takes as well
VIRTUAL_FORMS = f"{FORMS}; or measured (on this machine, now), or trace:RUN for those of a recorded run"
LONGEST_MS = 86_400_000.0  # a day


def check_virtual(text: str, flag: str) -> None:
    """Raises UserError unless `text` is one of `VIRTUAL_FORMS`."""
    if text == MEASURED or (text.startswith(TRACE) and len(text) > len(TRACE)):
        return
    try:
        parse(text, flag)
    except UserError:
        raise UserError(f"--{flag}={text}: give {VIRTUAL_FORMS}") from None


def parse(text: str, flag: str = "emulated_inference_ms") -> Callable[[np.random.Generator], float]:
    """Returns a function from a random generator to milliseconds, never below 0.

    Args:
      text: e.g. "1170", "normal:167,8" or "gamma:12,6+outlier:0.001,60". MEAN and SD are of the time itself, in
        milliseconds, whatever the distribution, outliers apart.
      flag: what an error names.

    Raises:
      UserError: not one of `FORMS`.
    """
    usual, plus, unusual = text.partition("+")
    try:
        if not plus:
            return _one(usual)
        probability, length = (float(part) for part in unusual.removeprefix("outlier:").split(","))
        if not (unusual.startswith("outlier:") and 0 <= probability <= 1 and 0 <= length <= LONGEST_MS):
            raise ValueError
        return _with_outliers(_one(usual), probability, length)
    except (ValueError, KeyError, ArithmeticError):
        raise UserError(f"--{flag}={text}: give {FORMS}") from None


def _one(text: str) -> Callable[[np.random.Generator], float]:
    """Raises ValueError, KeyError or ArithmeticError."""
    kind, colon, arguments = text.partition(":")
    numbers = [float(part) for part in (arguments if colon else kind).split(",")]
    if not all(0 <= number <= LONGEST_MS for number in numbers):
        raise ValueError
    if not colon:
        (constant,) = numbers
        return lambda rng: constant
    a, b = numbers
    return {"normal": _normal, "lognormal": _lognormal, "gamma": _gamma, "uniform": _uniform}[kind](a, b)


def _with_outliers(usual, probability: float, length: float):
    return lambda rng: length if rng.random() < probability else usual(rng)


def _normal(mean, sd):
    return lambda rng: max(0.0, rng.normal(mean, sd))


def _lognormal(mean, sd):
    variance = np.log1p((sd / mean) ** 2)
    return lambda rng: rng.lognormal(np.log(mean) - variance / 2, np.sqrt(variance))


def _gamma(mean, sd):
    shape, scale = (mean / sd) ** 2, sd**2 / mean
    return lambda rng: rng.gamma(shape, scale)


def _uniform(low, high):
    if high < low:
        raise ValueError
    return lambda rng: rng.uniform(low, high)
