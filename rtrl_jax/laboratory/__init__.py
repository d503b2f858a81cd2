"""A fast laboratory: agent, delays and world in one jitted program, for many seeds at once. Nothing here runs in real time."""
