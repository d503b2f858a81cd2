"""A run by the wall clock: real processes, prepared by `launcher`, watched by `supervisor`, running loops by `drive`."""
