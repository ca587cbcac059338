"""Fused blocks for training: operators with their gradients, each with a reference in PyTorch and a Triton program."""
