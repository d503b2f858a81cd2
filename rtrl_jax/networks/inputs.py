"""What the pixels of a frame are to a network: numbers from 0 to 1, or bytes as they are."""

import jax
import jax.numpy as jnp

DIVISORS = {"unit": 255, "byte": 1}


def scaled(pixels: jax.Array, scale: str) -> jax.Array:
    """uint8 of any shape -> float32. Args: scale: a key of DIVISORS."""
    return pixels.astype(jnp.float32) / DIVISORS[scale]
