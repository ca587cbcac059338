"""The Python part of qalign. It computes tensors; TypeScript owns data, prompts and scores."""

import os

__version__ = "0.1.0"

# Spin rounds of an idle OpenMP thread before it sleeps; torch reads the variable when it is loaded. The default of
# 300 000 doubles the time of two models that share two cores. 20 000 does not slow down a single model (BENCHMARKS.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
