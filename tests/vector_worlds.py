"""Worlds whose actions are vectors: gymnasium/vector_worlds:SavedPendulum-v0 and …:Locks-v0, which can be saved, and …:Aim-v0."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control import PendulumEnv


class SavedPendulum(PendulumEnv):
    def save(self):
        return {"state": np.array(self.state), "random": self.np_random.bit_generator.state}

    def restore(self, saved):
        self.state, self.np_random.bit_generator.state = saved["state"], saved["random"]


class Locks(gymnasium.Env):
    """A choice each from two lists; it pays to choose from both what is asked for."""

    observation_space, action_space = spaces.Box(0, 4, (2,), np.float32), spaces.MultiDiscrete([3, 2], start=[0, 1])
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.asked = np.array([2, 1])
        return self.asked.astype(np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        reward = float((action == self.asked).sum())
        self.asked = self.np_random.integers([0, 1], [3, 3])
        return self.asked.astype(np.float32), reward, False, False, {}

    def save(self):
        return {"asked": self.asked, "random": self.np_random.bit_generator.state}

    def restore(self, saved):
        self.asked, self.np_random.bit_generator.state = saved["asked"], saved["random"]


class Aim(gymnasium.Env):
    """What is seen says at once which action is best; the numbers of an action have bounds of their own."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(np.float32([0, -3]), np.float32([4, 1]))
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012

    def __init__(self, still=False):
        self.still = still  # what is seen is always the same

    @staticmethod
    def best(seen):
        return np.array([2 + seen, -1 - 1.5 * seen])

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = np.zeros(1, np.float32)
        return self.seen.copy(), {}

    def step(self, action):
        reward = -float(((action - self.best(self.seen[0])) ** 2).sum())
        if not self.still:
            self.seen = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.seen.copy(), reward, False, False, {}


gymnasium.register("Aim-v0", Aim)
gymnasium.register("SavedPendulum-v0", SavedPendulum, max_episode_steps=70)
gymnasium.register("Locks-v0", Locks, max_episode_steps=70)
