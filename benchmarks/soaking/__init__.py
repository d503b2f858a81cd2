"""What benchmarks/soak.py is made of: a run seen from outside, what its processes hold, trends, power cuts and a viewer."""
