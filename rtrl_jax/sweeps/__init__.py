"""Many runs of one flagfile: a grid of flags and seeds, a run for each, and their figures in tables."""
