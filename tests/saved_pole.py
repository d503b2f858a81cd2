"""A CartPole that can be saved, as a user's own environment is: gymnasium/saved_pole:SavedPole-v0."""

import gymnasium
import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv


class SavedPole(CartPoleEnv):
    def save(self):
        return {
            "state": np.array(self.state),
            "over": self.steps_beyond_terminated,
            "random": self.np_random.bit_generator.state,
        }

    def restore(self, saved):
        self.state, self.steps_beyond_terminated = saved["state"], saved["over"]
        self.np_random.bit_generator.state = saved["random"]


gymnasium.register("SavedPole-v0", SavedPole, max_episode_steps=90)
