"""What makes a render fast: each module one lever on the stock pipeline, `accelerate` pulls them by a profile's wish.

The levers work on diffusers' and torch's objects alone and import no package but those two, so that `bench/gpu.py` can
measure them on a machine that has nothing else.
"""
