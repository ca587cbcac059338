"""Fused elementwise kernels of the engine: each has a reference in PyTorch, and a Triton program for CUDA."""
