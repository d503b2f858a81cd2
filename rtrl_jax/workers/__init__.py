"""The loops that make up the system: environment, inference, learner, and the sequential agent they are compared with.

Each is a generator that yields what takes time (`effects`) and otherwise reads from top to bottom. It knows the board, but no
process, no clock and no flag; a driver runs it.
"""
