"""Replay: transitions read off the board's ring of observations, which is its storage; no frame is kept twice."""
