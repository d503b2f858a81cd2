"""Draws what our Game Boy games look like, as the console shows them and as the agent sees them, by playing them.

python launch/screenshots.py --out=docs/images/games.png
"""

import pathlib
import sys

import matplotlib
from absl import flags

from rtrl_jax import environments
from rtrl_jax.environments import players
from rtrl_jax.environments.frames import small_grey
from rtrl_jax.flags import run_command

matplotlib.use("Agg")
from matplotlib import pyplot as plt

OUT = flags.DEFINE_string("out", "docs/images/games.png", "picture to write")
# (environment, player, frames to play, what is seen)
MOMENTS = [
    ("gameboy/duel-battles", players.duel_player, 0, "Duel: choose a move"),
    ("gameboy/duel-battles", players.duel_player, 9000, "Duel: a later rival"),
    ("gameboy/duel-catching", players.duel_player, 330, "Duel: a wild one"),
    ("gameboy/stacks", players.stacks_player, 1500, "Stacks"),
]


def main() -> None:
    figure, panels = plt.subplots(2, len(MOMENTS), figsize=(11, 5.6), height_ratios=[144, 150], layout="constrained")
    for column, (name, player, frames, title) in enumerate(MOMENTS):
        environment, act = environments.make(name), player()
        environment.reset(seed=1)
        for _ in range(frames):
            if environment.step(act(environment.console))[2]:
                environment.reset()
        picture = environment.picture()
        environment.close()
        panels[0, column].imshow(picture, interpolation="nearest")
        panels[0, column].set_title(title, fontsize=10, fontweight="bold", loc="left")
        panels[1, column].imshow(small_grey(picture)[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for axes in panels.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
    panels[0, 0].set_ylabel("the console, 160 x 144")
    panels[1, 0].set_ylabel("the agent, 84 x 84 grey")
    pathlib.Path(OUT.value).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT.value, dpi=110)
    print(f"wrote {OUT.value}")


if __name__ == "__main__":
    sys.exit(run_command(main))
