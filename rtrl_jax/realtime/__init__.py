"""A run by the wall clock: real processes, which `launcher` prepares, `supervisor` watches and replaces, and `drive` runs loops in."""
