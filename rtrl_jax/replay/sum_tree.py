"""A binary tree of sums over an array: draws in proportion to the leaves, in logarithmic time (Schaul et al. 2016)."""

import numpy as np


def nodes_for(capacity: int) -> int:
    """Length of the array that a tree of at least `capacity` leaves lies in."""
    return 2 << max(0, capacity - 1).bit_length()


class SumTree:
    """The root is node 1, the children of node i are 2i and 2i + 1, the leaves are the second half; node 0 is not used.

    The array may lie in memory that another process, the only one that writes, is changing. What is then read may not add up;
    `find` ends at some leaf all the same. Sums are taken anew on every path, so rounding does not add up either.
    """

    def __init__(self, nodes: np.ndarray):
        """Args: nodes: float64 [nodes_for(capacity)], at first zero."""
        self._nodes = nodes
        self._leaves = nodes[len(nodes) // 2 :]
        self._depth = len(self._leaves).bit_length() - 1

    @property
    def total(self) -> float:
        return float(self._nodes[1])

    def get(self, leaves: np.ndarray) -> np.ndarray:
        return self._leaves[leaves]

    def set(self, leaves: np.ndarray, values: np.ndarray) -> None:
        """Of a leaf that comes twice the last value stays."""
        self._leaves[leaves] = values
        node = leaves + len(self._leaves)
        for _ in range(self._depth):
            node = node >> 1
            self._nodes[node] = self._nodes[2 * node] + self._nodes[2 * node + 1]

    def find(self, values: np.ndarray) -> np.ndarray:
        """For each value in [0, total) the leaf under it, were the leaves laid end to end. [n] -> [n]."""
        values, node = values.copy(), np.ones(len(values), np.int64)
        for _ in range(self._depth):
            node *= 2
            left = self._nodes[node]
            right = values >= left
            values -= np.where(right, left, 0)
            node += right
        return node - len(self._leaves)
