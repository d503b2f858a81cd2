"""Replay: decisions that acted, each with its span and the frames around it, of which transitions are made when they are drawn.

The environment's process accounts (`acts`, a state machine) and keeps (`keeper`), in two rings on the board: a row for each
decision that acted, complete once the next one acts or the episode ends, and each frame that rows refer to, once. Readers
(`index`, and the replays around it) hold nothing but two numbers: which rows there are.
"""
