"""The paper's ResNets, faster: other ways to convolve behind the same `apply` (--fast=false leaves them out)."""

from rtrl_jax.networks.fast import plan_text
from rtrl_jax.networks.fast.machine import cache_folder
from rtrl_jax.networks.fast.network import acting, kernels, learning, prepare, with_prepared
from rtrl_jax.networks.fast.plan import Plan, by_rule, choose, keep, measured

__all__ = [
    "Plan",
    "acting",
    "by_rule",
    "cache_folder",
    "choose",
    "keep",
    "kernels",
    "learning",
    "measured",
    "plan_text",
    "prepare",
    "with_prepared",
]
