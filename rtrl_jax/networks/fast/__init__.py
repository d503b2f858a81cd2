"""The paper's ResNets, faster: other ways to convolve behind the same `apply` (--fast=false leaves them out)."""

from rtrl_jax.networks.fast.network import acting, learning, prepare
from rtrl_jax.networks.fast.plan import Plan, by_rule, shapes

__all__ = ["Plan", "acting", "by_rule", "learning", "prepare", "shapes"]
