"""Worlds of others with a wrapper around them, as `benchmarks/environments.py` and anybody's own module may name them."""

import gymnasium
from gymnasium import wrappers


def minigrid_image(name: str = "MiniGrid-Empty-5x5-v0") -> gymnasium.Env:
    """MiniGrid without its mission, which is a text: what is seen is the grid alone, 7x7x3 symbols."""
    from minigrid.wrappers import ImgObsWrapper

    return ImgObsWrapper(gymnasium.make(name))


def in_choices(name: str, bins: int = 3) -> gymnasium.Env:
    """A world of real-valued actions, of which each number is one of so many choices: MultiDiscrete."""
    return wrappers.DiscretizeAction(gymnasium.make(name), bins, multidiscrete=True)


def highway_image() -> gymnasium.Env:
    """highway-env's pictures, the newest four as channels, which come first. Its size has to be a tuple: JSON has none."""
    seen = {"type": "GrayscaleObservation", "observation_shape": (128, 64), "stack_size": 4, "scaling": 1.75}
    return gymnasium.make(
        "highway_env:highway-fast-v0", config={"observation": seen | {"weights": [0.2989, 0.5870, 0.1140]}}
    )
