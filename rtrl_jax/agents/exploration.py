"""How often an agent acts at random."""


def linear(start: float, end: float, steps: int):
    """ε as a function of learning steps: from `start` to `end` over the first `steps`, then constant."""

    def epsilon(updates: int) -> float:
        return start + (end - start) * min(1.0, updates / steps) if steps else end

    return epsilon
