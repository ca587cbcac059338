"""`python -m qalign.worker --gpu-check`: measures a GPU and the engine on it in one run of at most seven minutes."""
