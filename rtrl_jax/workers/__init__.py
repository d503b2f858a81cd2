"""The loops that make up the system: environment, inference, learner, and the sequential agent they are compared with.

Each is a few steps between which time passes (`steps`, `effects`), the environment's a generator of the same. It knows the board,
but no process, no clock and no flag; a driver runs it.
"""
