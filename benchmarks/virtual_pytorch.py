"""The other side of benchmarks/virtual.py: the straightforward way to train with a delay, in PyTorch. Prints steps a second.

Step, act, learn, in one loop, with the paper's network; the action is decided from the observation of `delay` frames ago.
No module of rtrl_jax: it runs in an environment with torch, numpy, ale-py, gymnasium and opencv alone.
"""

import argparse
import os
import time
from collections import deque

os.environ["OMP_NUM_THREADS"] = "1"
import ale_py
import cv2
import gymnasium
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

torch.set_num_threads(1)
cv2.setNumThreads(1)


class ResNet15(nn.Module):
    def __init__(self, k: float, actions: int):
        super().__init__()
        self.blocks, channels = nn.ModuleList(), 1
        for width in (max(1, int(16 * k)), max(1, int(32 * k)), max(1, int(32 * k))):
            convolutions = [nn.Conv2d(channels, width, 3)] + [nn.Conv2d(width, width, 3, padding=1) for _ in range(4)]
            self.blocks.append(nn.ModuleList(convolutions))
            channels = width
        self.hidden, self.values = nn.Linear(channels * 49, 512), nn.Linear(512, actions)

    def forward(self, x):
        x = x.float() / 255
        for block in self.blocks:
            x = F.max_pool2d(block[0](x), 3, 2)
            for i in (1, 3):
                x = x + block[i + 1](F.relu(block[i](F.relu(x))))
        return self.values(F.relu(self.hidden(F.relu(x).flatten(1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--k", type=float, default=1 / 16)
    parser.add_argument("--delay", type=int, default=8)
    parser.add_argument("--learn_every", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--learn_start", type=int, default=500)
    args = parser.parse_args()
    gymnasium.register_envs(ale_py)
    game = gymnasium.make(
        "ALE/Boxing-v5", obs_type="grayscale", frameskip=1, repeat_action_probability=0.0, full_action_space=False
    )
    actions, rng = int(game.action_space.n), np.random.default_rng(0)
    online, target = ResNet15(args.k, actions), ResNet15(args.k, actions)
    target.load_state_dict(online.state_dict())
    adam = torch.optim.Adam(online.parameters(), 1e-5)
    frames = np.zeros((args.steps + 2, 1, 84, 84), np.uint8)
    table = np.zeros((args.steps + 2, 5), np.float32)  # observation, action, reward, next observation, discount

    def small(picture):
        return cv2.resize(picture, (84, 84), interpolation=cv2.INTER_AREA)[None]

    def learn(size):
        rows = table[rng.integers(0, size, 16)]
        now, then = (torch.from_numpy(frames[rows[:, column].astype(int)]) for column in (0, 3))
        action, reward, discount = (torch.from_numpy(rows[:, column].copy()) for column in (1, 2, 4))
        with torch.no_grad():
            goal = reward + discount * target(then).max(1).values
        value = online(now).gather(1, action.long()[:, None])[:, 0]
        loss = F.smooth_l1_loss(value, goal)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(online.parameters(), 10.0)
        adam.step()

    frames[0] = small(game.reset(seed=0)[0])
    seen, began = deque([0] * args.delay, maxlen=args.delay), None
    for step in range(args.steps):
        if step == args.learn_start:
            began = time.perf_counter()
        if rng.random() < 0.05:
            action = int(rng.integers(actions))
        else:
            with torch.inference_mode():
                action = int(online(torch.from_numpy(frames[seen[0]][None])).argmax())
        picture, reward, terminated, truncated, _ = game.step(action)
        frames[step + 1] = small(picture)
        before = seen[0]
        seen.append(step + 1)
        table[step] = before, action, reward, seen[0], 0.0 if terminated else 0.99
        if terminated or truncated:
            frames[step + 1] = small(game.reset()[0])
            seen.extend([step + 1] * args.delay)
        if step >= args.learn_start and step % args.learn_every == 0:
            learn(step + 1)
    print((args.steps - args.learn_start) / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
