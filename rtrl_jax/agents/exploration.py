"""How often an agent acts at random."""


def linear(start: float, end: float, steps: int):
    """ε as a function of decisions, ticks or updates so far: from `start` to `end` over the first `steps`, then constant."""

    def epsilon(count: int) -> float:
        return start + (end - start) * min(1.0, count / steps) if steps else end

    return epsilon
