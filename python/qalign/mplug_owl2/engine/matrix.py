"""The matrices of the engine's products. Each hides how its weight is stored."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from qalign.weights.codes import fp8_product, int8_sums
from qalign.weights.quantised import QuantisedLinear

from .kernels.coded import Coded, Rows, add_scaled_sums, decoded_nf4, quantised_rows, scaled_sums


class Matrix(Protocol):
    """A weight [out, in] with a constant factor, `scale`, which rows are multiplied with.

    `kind` is the code of the rows that it multiplies, or None. Rows that are not codes yet are quantised.
    """

    kind: str | None

    def __call__(self, x: Rows, bias: Tensor | None = None) -> Tensor:
        """x [..., in] → scale · x·Wᵀ + bias: [..., out], or [rows, out] for codes."""

    def add_to(self, total: Tensor, x: Rows) -> None:
        """Add scale · x·Wᵀ to `total` [rows, out] in place."""

    def delta(self, total: Tensor, x: Rows) -> Tensor | None:
        """`add_to`, or what the next norm must add to `total`, if the product cannot add."""


class Decoded:
    """A matrix that multiplies rows in the dtype of the activations."""

    kind = None

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def weight_in(self, dtype: torch.dtype) -> Tensor:
        raise NotImplementedError

    def __call__(self, x: Rows, bias: Tensor | None = None) -> Tensor:
        assert isinstance(x, Tensor)
        weight = self.weight_in(x.dtype)
        if self.scale == 1:
            return linear(x, weight, bias)
        if bias is None:
            return linear(x, weight).mul_(self.scale)
        y = torch.addmm(bias, x.flatten(0, -2), weight.t(), alpha=self.scale)
        return y.view(*x.shape[:-1], -1)

    def add_to(self, total: Tensor, x: Rows) -> None:
        assert isinstance(x, Tensor)
        # in place: addmm would copy `total` first
        total.addmm_(x, self.weight_in(x.dtype).t(), alpha=self.scale)

    def delta(self, total: Tensor, x: Rows) -> Tensor | None:
        self.add_to(total, x)
        return None


class Dense(Decoded):
    """A weight stored in the dtype of the activations."""

    def __init__(self, weight: Tensor, scale: float = 1.0) -> None:
        super().__init__(scale)
        self.weight = weight

    def weight_in(self, dtype: torch.dtype) -> Tensor:
        return self.weight


class Nf4(Decoded):
    """A weight stored as nf4 codes and scales, decoded for every product."""

    def __init__(self, codes: Tensor, scales: Tensor, scale: float) -> None:
        super().__init__(scale)
        self.codes, self.scales = codes, scales

    def weight_in(self, dtype: torch.dtype) -> Tensor:
        return decoded_nf4(self.codes, self.scales, dtype)


class EightBit:
    """A weight stored as fp8 or int8 codes and scales, each with `out` rows, and multiplied with rows of such codes."""

    def __init__(self, kind: str, codes: Tensor, scales: Tensor, scale: float) -> None:
        self.kind, self.codes, self.scales = kind, codes, scales if scale == 1 else scales * scale

    def __call__(self, x: Rows, bias: Tensor | None = None) -> Tensor:
        left = self._coded(x)
        if self.kind == "fp8":
            y = fp8_product(self.codes, self.scales, left.codes, left.scales, left.rows, left.dtype, bias)
        else:
            sums = int8_sums(self.codes, left.codes, left.rows)
            y = scaled_sums(sums, left.scales, self.scales, bias, left.dtype)
        return y if isinstance(x, Coded) else y.view(*x.shape[:-1], -1)

    def add_to(self, total: Tensor, x: Rows) -> None:
        if self.kind == "fp8":
            total.add_(self(x))
            return
        left = self._coded(x)
        add_scaled_sums(total, int8_sums(self.codes, left.codes, left.rows), left.scales, self.scales)

    def delta(self, total: Tensor, x: Rows) -> Tensor | None:
        if self.kind == "fp8":
            return self(x)
        self.add_to(total, x)
        return None

    def _coded(self, x: Rows) -> Coded:
        return x if isinstance(x, Coded) else quantised_rows(x.flatten(0, -2), self.kind)


def fused(*linears: nn.Linear, scale: float = 1.0) -> Matrix:
    """One matrix with the output rows of several linear layers, which read the same input.

    The weights of the layers become views of it, so the literal model stays usable and nothing is stored twice.
    """
    if not isinstance(linears[0], QuantisedLinear):
        return Dense(fuse(*linears)[0] if len(linears) > 1 else linears[0].weight, scale)
    codes, scales = _fused_codes([layer for layer in linears if isinstance(layer, QuantisedLinear)])
    kind = linears[0].kind
    return Nf4(codes, scales, scale) if kind == "nf4" else EightBit(kind, codes, scales, scale)


def shared_kind(*matrices: Matrix) -> str | None:
    """The code that all these matrices can read, so that their input is quantised once."""
    kinds = {matrix.kind for matrix in matrices}
    return kinds.pop() if len(kinds) == 1 else None


def _fused_codes(layers: list[QuantisedLinear]) -> tuple[Tensor, Tensor]:
    if len(layers) == 1:
        return layers[0].codes, layers[0].scales
    parts = {name: torch.cat([getattr(layer, name) for layer in layers]) for name in ("codes", "scales")}
    for name, whole in parts.items():
        for layer, view in zip(layers, whole.split([layer.out_features for layer in layers]), strict=True):
            setattr(layer, name, view)
    return parts["codes"], parts["scales"]


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
