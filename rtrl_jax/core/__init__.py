"""What a run is made of, whatever the clock: the model, who does what where, the loops wired together, and what comes out.

`model` is the network that settings make for a world, `sizing` how many of everything, `assembly` the whole layout, `context`
one process's view of it. `acting` and `learning` compute with JAX, `loops` wires the workers' loops, `output` records and shows.
"""
