"""The matrices of the engine's products. Each hides how its weight is stored."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from qalign.weights.codes import product

from ..quantised import QuantisedLinear


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


class Quantised:
    """A weight stored as codes and scales, each with `out` rows."""

    def __init__(self, kind: str, codes: Tensor, scales: Tensor) -> None:
        self.kind, self.codes, self.scales = kind, codes, scales

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        y = product(self.kind, self.codes, self.scales, x.flatten(0, -2)).view(*x.shape[:-1], -1)
        return y if bias is None else y.add_(bias)

    def scaled(self, x: Tensor, bias: Tensor, scale: float) -> Tensor:
        return torch.add(bias, product(self.kind, self.codes, self.scales, x), alpha=scale)

    def add_to(self, total: Tensor, x: Tensor, scale: float = 1.0) -> None:
        total.add_(product(self.kind, self.codes, self.scales, x), alpha=scale)


def fused(*linears: nn.Linear) -> Matrix:
    """One matrix with the output rows of several linear layers, which read the same input.

    The weights of the layers become views of it, so the literal model stays usable and nothing is stored twice.
    """
    if isinstance(linears[0], QuantisedLinear):
        return _fused_codes([layer for layer in linears if isinstance(layer, QuantisedLinear)])
    return Dense(fuse(*linears)[0] if len(linears) > 1 else linears[0].weight)


def _fused_codes(layers: list[QuantisedLinear]) -> Quantised:
    if len(layers) == 1:
        return Quantised(layers[0].kind, layers[0].codes, layers[0].scales)
    parts = {name: torch.cat([getattr(layer, name) for layer in layers]) for name in ("codes", "scales")}
    for name, whole in parts.items():
        for layer, view in zip(layers, whole.split([layer.out_features for layer in layers]), strict=True):
            setattr(layer, name, view)
    return Quantised(layers[0].kind, parts["codes"], parts["scales"])


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
