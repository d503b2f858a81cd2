"""Agents as pure functions on pytrees: no process, no file, no flag. `agent` says what one is."""
