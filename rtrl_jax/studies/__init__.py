"""Experiments that need no learning and no real time: the system's own loops, played out on a simulated clock."""
