"""Agents as pure functions on pytrees: no process, no file, no flag. `dqn` is what there is so far."""
