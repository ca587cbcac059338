"""qalign, the tensor side. TypeScript decides what things mean; this package computes tensors."""

__version__ = "0.1.0"
