"""A run on a simulated clock: the same loops in this one process, on an event queue, with stated costs."""
