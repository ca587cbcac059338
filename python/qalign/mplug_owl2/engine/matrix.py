"""The matrices of the engine's products. Each hides how its weight is stored."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Matrix(Protocol):
    """A weight [out, in], which rows are multiplied with."""

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [..., in] → x·Wᵀ + bias, [..., out]."""

    def scaled(self, x: Tensor, bias: Tensor, scale: float) -> Tensor:
        """x [rows, in] → scale · x·Wᵀ + bias, [rows, out]."""

    def add_to(self, total: Tensor, x: Tensor, scale: float = 1.0) -> None:
        """Add scale · x·Wᵀ to `total` [rows, out] in place."""


class Dense:
    """A weight stored in the dtype of the activations."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return linear(x, self.weight, bias)

    def scaled(self, x: Tensor, bias: Tensor, scale: float) -> Tensor:
        return torch.addmm(bias, x, self.weight.t(), alpha=scale)

    def add_to(self, total: Tensor, x: Tensor, scale: float = 1.0) -> None:
        total.addmm_(x, self.weight.t(), alpha=scale)  # in place: addmm would copy `total` first


def fused(*linears: nn.Linear) -> Matrix:
    """One matrix with the output rows of several linear layers, which read the same input.

    The weights of the layers become views of it, so the literal model stays usable and nothing is stored twice.
    """
    return Dense(fuse(*linears)[0] if len(linears) > 1 else linears[0].weight)


def fuse(*linears: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Fuse the weights (and biases) of several linear layers into one matrix. Their parameters become views of it."""
    weight = torch.cat([module.weight.data for module in linears])
    bias = torch.cat([module.bias.data for module in linears]) if linears[0].bias is not None else None
    start = 0
    for module in linears:
        stop = start + len(module.weight)
        module.weight.data = weight[start:stop]
        if bias is not None:
            module.bias.data = bias[start:stop]
        start = stop
    return weight, bias
