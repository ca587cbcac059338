"""qalign, the tensor side. TypeScript decides what things mean; this package computes tensors."""

import os

__version__ = "0.1.0"

# How long a thread of torch's OpenMP spins for the next piece of work before it sleeps, read when torch is loaded. Its
# own 300 000 rounds cost two models that share two cores twice their time; 20 000 cost one that has them alone nothing
# (BENCHMARKS.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
