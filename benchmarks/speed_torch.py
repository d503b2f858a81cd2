"""PyTorch's side of benchmarks/speed.py: one inference and one DQN update of the paper's ResNets, in its best configuration.

Runs in an environment with torch and numpy: python benchmarks/speed_torch.py WHAT DEPTH K SECONDS prints JSON.
"""

import json
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from median import median_ms
from torch import nn
from torch.nn import functional

STRIDES = {15: (2, 2, 2), 30: (2, 1, 1, 1, 2, 1)}
ACTIONS, BATCH = 6, 16


class ResNet(nn.Module):
    """Blocks of a valid 3x3 convolution, a 3x3 max-pool and two residual pairs; dense 512; dense actions."""

    def __init__(self, k: float, depth: int):
        super().__init__()
        self.strides, self.blocks, channels = STRIDES[depth], nn.ModuleList(), 1
        for block in range(len(self.strides)):
            filters = max(1, int((16 if block == 0 else 32) * k))
            pairs = [nn.Conv2d(filters, filters, 3, padding=1) for _ in range(4)]
            self.blocks.append(nn.ModuleList([nn.Conv2d(channels, filters, 3), *pairs]))
            channels = filters
        features = self.trunk(torch.zeros(1, 1, 84, 84)).shape[1]
        self.hidden, self.head = nn.Linear(features, 512), nn.Linear(512, ACTIONS)

    def trunk(self, x):
        for stride, block in zip(self.strides, self.blocks, strict=True):
            x = functional.max_pool2d(block[0](x), 3, stride)
            for i in (1, 3):
                x = x + block[i + 1](functional.relu(block[i](functional.relu(x))))
        return functional.relu(x).flatten(1)

    def forward(self, x):
        return self.head(functional.relu(self.hidden(self.trunk(x))))


def inference(k: float, depth: int, seconds: float, *, channels_last: bool, trace: bool, bf16: bool = False) -> float:
    dtype = torch.bfloat16 if bf16 else torch.float32
    net, x = ResNet(k, depth).eval().to(dtype), torch.rand(1, 1, 84, 84).to(dtype)
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if trace:
        with torch.no_grad():
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
    with torch.inference_mode():
        return median_ms(lambda: int(net(x).argmax(-1)), seconds)


def update(k: float, depth: int, seconds: float, *, channels_last: bool) -> float:
    net, target, x = ResNet(k, depth), ResNet(k, depth), torch.rand(BATCH, 1, 84, 84)
    if channels_last:
        net, target = (n.to(memory_format=torch.channels_last) for n in (net, target))
        x = x.contiguous(memory_format=torch.channels_last)
    action, reward = torch.randint(0, ACTIONS, (BATCH, 1)), torch.randn(BATCH, 1)
    adam = torch.optim.Adam(net.parameters(), 1e-3)

    def step():
        with torch.no_grad():
            goal = reward + 0.99 * target(x).max(1, keepdim=True).values
        loss = functional.smooth_l1_loss(net(x).gather(1, action), goal)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        adam.step()

    return median_ms(step, seconds)


def main() -> None:
    what, depth, k, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(1)
    if what == "update":
        found = {f"channels_last={c}": update(k, depth, seconds, channels_last=c) for c in (False, True)}
        found = {"float32": {f"PyTorch {how}": ms for how, ms in found.items()}}
    else:
        found = {
            dtype: {
                f"PyTorch channels_last={c} trace={t}": inference(
                    k, depth, seconds, channels_last=c, trace=t, bf16=dtype == "bfloat16"
                )
                for c in channels_last
                for t in (False, True)
            }
            for dtype, channels_last in (("float32", (False, True)), ("bfloat16", (True,)))
        }
    print(json.dumps({"all": found, "versions": {"torch": torch.__version__}}))


main()
