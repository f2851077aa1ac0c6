"""The parts of `bench/gpu.py`, which puts the folders `crds` and `renderer` on the path for them."""
