"""Inference times that are stated, not measured: a constant or a distribution, written as a flag takes it."""

from collections.abc import Callable

import numpy as np

from rtrl_jax.errors import UserError

FORMS = "a number of milliseconds, normal:MEAN,SD, lognormal:MEAN,SD, gamma:MEAN,SD or uniform:LOW,HIGH"


def parse(text: str) -> Callable[[np.random.Generator], float]:
    """Returns a function from a random generator to milliseconds, never below 0.

    Args:
      text: e.g. "1170" or "normal:167,8". MEAN and SD are of the time itself, in milliseconds, whatever the distribution.

    Raises:
      UserError: not one of `FORMS`.
    """
    kind, colon, arguments = text.partition(":")
    try:
        numbers = [float(part) for part in (arguments if colon else kind).split(",")]
        if not all(np.isfinite(numbers)) or min(numbers) < 0:
            raise ValueError
        if not colon:
            (constant,) = numbers
            return lambda rng: constant
        a, b = numbers
        return {"normal": _normal, "lognormal": _lognormal, "gamma": _gamma, "uniform": _uniform}[kind](a, b)
    except (ValueError, KeyError, ZeroDivisionError):
        raise UserError(f"--emulated_inference_ms={text}: give {FORMS}") from None


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
