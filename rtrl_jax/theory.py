"""What the world's not waiting must cost: Theorem 1's three regret terms, N* of Remark 2, and the proofs' worlds in closed form.

Names are the paper's. tau: the horizon; tau_m, tau_theta, tau_l: a tick, an inference, an update; tau_i: from one
action of the agent's to its next; all in seconds (any unit does, if it is the same one). Regret is in units of reward.

Where a proof has a constant the functions have it: `inaction_regret` (Θ) and `delay_regret` (Ω) are what the proofs'
worlds cost, with rewards between 0 and `r_max`. `learning_regret` is known up to a factor only, which the caller names.

Two formulas are not as printed. Section 3.2 has min(τ_θ/N_I, τ_M) for the interaction time; its proof (B.4) says that
τ_I is never below τ_M, which is max. And the proof of Equation 4 bets on the state last seen, which in its own world is
not the best bet once (k + 1)(1 − p) > 1: see `cycle_loss`.
"""

import math

import numpy as np

ROUNDING = 1e-7  # relative: 1.1 / 0.1 is eleven ticks, and so is what they make in whole nanoseconds


def learning_regret(tau: float, tau_i: float, *, constant: float) -> float:
    """Δ_learn(τ) = constant · √(τ/τ_I): what learning costs even in a world that waits.

    Equation 2, which is Ω(√(τ/τ_I)); Õ of the same is reached (footnote 3). The paper names no constant; what it leaves out grows
    with the world, √|A| at least (B.5), so there is no default.
    """
    _positive(tau_i=tau_i)
    _not_negative(tau=tau, constant=constant)
    return constant * math.sqrt(tau / tau_i)


def inaction_regret(tau: float, tau_i: float, tau_m: float, *, r_max: float = 1.0) -> float:
    """Δ_inaction(τ) = r_max · (τ/τ_I) · (τ_I − τ_M)/τ_M: r_max for every tick that is left to β.

    Equation 3, Θ. With this constant it is the upper bound for any world, and exact in the proof's (`toy/Inaction-v0`).

    Raises:
      ValueError: τ_I < τ_M. An action can be in force for no less than a tick.
    """
    _positive(tau_i=tau_i, tau_m=tau_m)
    _not_negative(tau=tau, r_max=r_max)
    if tau_i < tau_m * (1 - ROUNDING):
        raise ValueError(f"tau_i={tau_i} is below tau_m={tau_m}: no action acts for less than a tick")
    return r_max * tau / tau_i * max(0.0, tau_i - tau_m) / tau_m


def delay_regret(
    tau: float,
    tau_i: float,
    tau_theta,
    tau_m: float,
    p_minimax: float,
    *,
    r_max: float = 1.0,
    states: float = math.inf,
    free_ticks: int = 0,
) -> float:
    """Δ_delay(τ) = r_max · (τ/τ_I) · E[1 − p_minimax^⌈τ_θ/τ_M⌉]: what acting on an old observation costs.

    Equation 4, Ω; the constant is the proof's, for infinitely many states.

    Args:
      tau_theta: an inference time, or samples of it, over which the expectation is taken.
      p_minimax: min over (s, a) of max over s' of p(s'|s, a); 1 for a deterministic world.
      states: how many there are, for the exact loss in `toy/Chain-v0`.
      free_ticks: of the delay, how many cost nothing. The paper counts the step that goes on while the agent thinks: 0. In
        this system an answer within a tick acts on the very state that it was computed from, as if the world waited: 1.
    """
    _positive(tau_i=tau_i, tau_m=tau_m)
    _not_negative(tau=tau, r_max=r_max)
    steps = np.maximum(ticks_of(tau_theta, tau_m) - free_ticks, 0)
    return r_max * tau / tau_i * float(np.mean(chain_loss(p_minimax, steps, states)))


def realtime_regret(
    tau: float,
    tau_i: float,
    tau_theta,
    tau_m: float,
    p_minimax: float,
    *,
    learning_constant: float,
    r_max: float = 1.0,
) -> float:
    """Δ_realtime(τ), the sum of the three (Equation 1). `learning_constant` is that of `learning_regret`."""
    return (
        learning_regret(tau, tau_i, constant=learning_constant)
        + inaction_regret(tau, tau_i, tau_m, r_max=r_max)
        + delay_regret(tau, tau_i, tau_theta, tau_m, p_minimax, r_max=r_max)
    )


def sequential_regret_rate(tau_theta: float, tau_m: float, *, r_max: float = 1.0) -> float:
    """Remark 1: r_max · (τ_θ − τ_M)/(τ_M τ_θ), the regret a second that sequential interaction never gets rid of.

    0 if the inference fits into a tick. Only inaction is counted; delay comes on top.
    """
    _positive(tau_theta=tau_theta)
    return inaction_regret(1.0, sequential_interaction_time(tau_theta, tau_m), tau_m, r_max=r_max)


def sequential_interaction_time(tau_theta: float, tau_m: float, tau_l: float = 0.0) -> float:
    """τ_I where inference and learning block each other: max(τ_θ + τ_L, τ_M) (Remark 1, where τ_L = 0)."""
    _positive(tau_m=tau_m)
    _not_negative(tau_theta=tau_theta, tau_l=tau_l)
    return max(tau_theta + tau_l, tau_m)


def staggered_interaction_time(tau_theta: float, n_i: int, tau_m: float) -> float:
    """τ_I of N_I evenly spaced workers: max(τ_θ/N_I, τ_M) (B.4).

    Args: tau_theta: the longest inference for Algorithm 1, where this is an upper bound; the mean for Algorithm 2.
    """
    _positive(tau_m=tau_m, n_i=n_i)
    _not_negative(tau_theta=tau_theta)
    return max(tau_theta / n_i, tau_m)


def n_i_star(tau_theta: float, tau_m: float) -> int:
    """N_I* = ⌈τ_θ/τ_M⌉, at least 1: workers from which on inaction vanishes (Remark 2, B.4).

    Args: tau_theta: the longest inference for Algorithm 1, the mean for Algorithm 2. The latter is a mean rate of one action
      a tick, which is an action in every tick only if τ_θ does not vary (docs/semantics.md).
    """
    return max(1, int(ticks_of(tau_theta, tau_m)))


def n_i_star_ticket(tau_theta, tau_m: float) -> int:
    """N_I* of ticket staggering: E⌈τ_θ/τ_M⌉ rounded up, at least 1. Ours, not the paper's. Args: tau_theta: samples."""
    return max(1, math.ceil(float(np.mean(ticks_of(tau_theta, tau_m))) * (1 - ROUNDING)))


def n_l_star(tau_l: float, tau_m: float, learn_every: int = 1) -> int:
    """N_L* = ⌈τ_L/(learn_every · τ_M)⌉, at least 1: learners that make an update every `learn_every` ticks (section 5.3).

    With τ_I in place of τ_M it is that of an update for so many decisions.
    """
    _positive(learn_every=learn_every)
    return n_i_star(tau_l, tau_m * learn_every)


def ticks_of(duration, tau_m: float):
    """⌈duration/τ_M⌉, for a number or an array: the boundaries that pass until it is over."""
    _positive(tau_m=tau_m)
    ratio = np.asarray(duration, float) / tau_m
    if not (np.isfinite(ratio).all() and (ratio >= 0).all()):
        raise ValueError(f"durations must be finite and not negative: {duration}")
    return np.ceil(ratio * (1 - ROUNDING)).astype(int)


def chain_loss(p: float, k, states: float = math.inf):
    """Least expected loss of an action for the state seen k steps ago in `toy/chain-p`: 1 − P(it went as expected).

    With probability p a step is the expected one, otherwise it leads to any other state. That a sequence of k steps ends where
    it was expected to has probability 1/n + (1 − 1/n)·((np − 1)/(n − 1))^k, and p^k in the limit of many states, which is
    Equation 4's. Here the last expected state stays the best bet, whatever k is.

    Args:
      p: p_minimax of that world, in [1/states, 1].
      k: steps, a number or an array.
    """
    if not 1 / states <= p <= 1:
        raise ValueError(f"p={p} must lie between 1/{states:g} and 1")
    if states == math.inf:
        return 1.0 - np.power(float(p), k)
    memory = (states * p - 1) / (states - 1)
    return (1 - 1 / states) * (1.0 - np.power(memory, k))


def cycle_loss(p: float, k: int, states: int) -> float:
    """Least expected loss of an action for the state seen k steps ago in `toy/delay-p`, the world in the proof of Equation 4.

    There a step stays with probability p and else moves on, so the number of moves is binomial, and the best bet is its
    mode, ⌊(k + 1)(1 − p)⌋, not 0. The loss is therefore below the 1 − p^k of the proof when (k + 1)(1 − p) > 1, but for
    p ≥ 1/2 by no more than a third: Ω stands, its constant is 2/3.
    """
    return 1.0 - float(cycle_position(p, k, states).max())


def chain_position(p: float, k: int, states: int) -> np.ndarray:
    """Probability of each state of `toy/chain-p` k steps later, float64 [states], counted from the state seen."""
    loss = float(chain_loss(p, k, states))
    position = np.full(states, loss / (states - 1))
    position[k % states] = 1.0 - loss
    return position


def cycle_position(p: float, k: int, states: int) -> np.ndarray:
    """Probability of each state of `toy/delay-p` k steps later, float64 [states], counted from the state seen."""
    moves = np.zeros(states)
    for m in range(k + 1):
        moves[m % states] += math.comb(k, m) * (1 - p) ** m * p ** (k - m)
    return moves


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value} must be greater than 0")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}={value} must not be negative")
