"""Running the workers' loops: `supervisor` starts and watches the processes of a run, `wall` runs loops inside one of them.

`assembly` decides what processes a run has, `child` is where a process begins, `roles` is what it then does.
"""
