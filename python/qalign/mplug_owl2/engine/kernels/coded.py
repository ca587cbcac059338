"""Rows of activations as fp8 or int8 codes, written by the kernel that computes them, and what follows a product.

The programs that return codes round to the dtype of the activations first: codes equal those of `quantise_rows`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from qalign.weights.codes import coded_rows, decode_nf4, product_rows, quantise_rows

from . import gated, norms
from .register import define, programs

CODE_DTYPES = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}


@dataclass(frozen=True)
class Coded:
    """Rows [rows, C] of `dtype` as codes [P, C] and fp32 scales [P, 1] of `quantise_rows`."""

    kind: str
    codes: Tensor
    scales: Tensor
    rows: int
    dtype: torch.dtype

    def __len__(self) -> int:
        return self.rows

    def new_empty(self, *shape: int) -> Tensor:
        """A tensor of the dtype of the rows, not initialised."""
        return self.scales.new_empty(shape, dtype=self.dtype)

    def __getitem__(self, chosen: slice) -> "Coded":
        """A range of rows, followed by enough other rows to pad a product."""
        start, stop, _ = chosen.indices(self.rows)
        end = start + product_rows(self.kind, stop - start)
        scales = self.scales[start:end]
        if start % 4:
            scales = scales.clone()  # fp8 products can need scales that are aligned to 16 bytes
        return Coded(self.kind, self.codes[start:end], scales, stop - start, self.dtype)


Rows = Tensor | Coded


def empty_codes(like: Tensor, rows: int, width: int, kind: str) -> tuple[Tensor, Tensor]:
    """Codes and scales of `rows` rows, not initialised."""
    padded = coded_rows(kind, rows)
    codes = torch.empty(padded, width, dtype=CODE_DTYPES[kind], device=like.device)
    return codes, torch.empty(padded, 1, dtype=torch.float32, device=like.device)


def _count(x: Tensor) -> int:
    return x.numel() // x.shape[-1]


def _coded(reference: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A reference whose last argument is the kind of code."""
    return lambda *args: quantise_rows(reference(*args[:-1]).flatten(0, -2), args[-1])


def _added(reference: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A reference of codes whose first argument is a stream, and whose second is added to the stream before."""
    return lambda x, delta, *args: _coded(reference)(add(x, delta), *args)


def _launch(name: str) -> Callable[..., Any]:
    return lambda *args: getattr(programs("coded_programs"), name)(*args)


# x [M, C] → codes and scales of its rows
_quantised_rows = define(
    "quantised_rows(Tensor x, str kind) -> (Tensor, Tensor)",
    quantise_rows,
    lambda x, kind: empty_codes(x, len(x), x.shape[1], kind),
    _launch("quantised_rows"),
)

# x [..., C] → those of silu(x)
_silu_codes = define(
    "silu_codes(Tensor x, str kind) -> (Tensor, Tensor)",
    _coded(silu),
    lambda x, kind: empty_codes(x, _count(x), x.shape[-1], kind),
    _launch("silu_codes"),
)

# gate_up [..., 2·I] → those of silu(gate) · up
_gated_codes = define(
    "gated_codes(Tensor gate_up, str kind) -> (Tensor, Tensor)",
    _coded(gated._reference),
    lambda gate_up, kind: empty_codes(gate_up, _count(gate_up), gate_up.shape[-1] // 2, kind),
    _launch("gated_codes"),
)

# The arguments of `norms.rms_rows` → codes and scales of its result. Adds delta [R, D] to x first, in place; then each
# row of x has one row in the result.
_rms_codes = define(
    "rms_codes(Tensor(a!) x, Tensor? delta, Tensor weights, float text_eps, float image_eps, Tensor ways, "
    "Tensor? rows, str kind) -> (Tensor, Tensor)",
    _added(norms._rms_reference),
    lambda x, delta, weights, text_eps, image_eps, ways, rows, kind: empty_codes(x, len(ways), x.shape[1], kind),
    _launch("rms_codes"),
)

# The arguments of `norms.shifted_layer_norm` → codes and scales of its result. Adds delta to x first, in place.
_layer_norm_codes = define(
    "layer_norm_codes(Tensor(a!) x, Tensor? delta, Tensor shift, Tensor weight, Tensor bias, float eps, str kind) "
    "-> (Tensor, Tensor)",
    _added(norms._shifted_reference),
    lambda x, delta, shift, weight, bias, eps, kind: empty_codes(x, _count(x), x.shape[-1], kind),
    _launch("layer_norm_codes"),
)


def quantised_rows(x: Tensor, kind: str) -> Coded:
    """x [M, C] → its rows as codes."""
    return Coded(kind, *_quantised_rows(x, kind), len(x), x.dtype)


def silu_rows(x: Tensor, kind: str | None) -> Rows:
    """silu(x), as codes if the product that reads it has a kind. Overwrites x otherwise."""
    return Coded(kind, *_silu_codes(x, kind), _count(x), x.dtype) if kind else silu(x, inplace=True)


def gated_rows(gate_up: Tensor, kind: str | None) -> Rows:
    """`gated.gated`, as codes if the product that reads it has a kind."""
    if kind is None:
        return gated.gated(gate_up)
    return Coded(kind, *_gated_codes(gate_up, kind), _count(gate_up), gate_up.dtype)


def add(x: Tensor, delta: Tensor | None) -> Tensor:
    """Add `delta` to x in place, unless it is None."""
    return x if delta is None else x.add_(delta.view_as(x))


def rms_rows(kind: str | None, x: Tensor, delta: Tensor | None, *args: Any) -> Rows:
    """Add `delta` to x in place. → `norms.rms_rows` of x, as codes if the products that read it have a kind."""
    if kind is None:
        return norms.rms_rows(add(x, delta), *args)
    codes, scales = _rms_codes(x, delta, *args, kind)
    return Coded(kind, codes, scales, len(args[3]), x.dtype)


def layer_norm_rows(kind: str | None, x: Tensor, delta: Tensor | None, *args: Any) -> Rows:
    """Add `delta` to x in place. → `norms.shifted_layer_norm` of x, as codes if its product has a kind."""
    if kind is None:
        return norms.shifted_layer_norm(add(x, delta), *args)
    return Coded(kind, *_layer_norm_codes(x, delta, *args, kind), _count(x), x.dtype)


def _scaled(sums: Tensor, row_scales: Tensor, column_scales: Tensor) -> Tensor:
    return sums * row_scales[: len(sums)] * column_scales.t()


def _scaled_reference(
    sums: Tensor, row_scales: Tensor, column_scales: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Tensor:
    wide = _scaled(sums, row_scales, column_scales)
    return (wide if bias is None else wide.add_(bias)).to(dtype)


def _add_reference(total: Tensor, sums: Tensor, row_scales: Tensor, column_scales: Tensor) -> Tensor:
    return total.copy_(_scaled(sums, row_scales, column_scales).add_(total))


# Sums of int8 products [M, R] int32, scales of rows [≥ M, 1] and of columns [R, 1], bias [R] → [M, R] in `dtype`
scaled_sums = define(
    "scaled_sums(Tensor sums, Tensor row_scales, Tensor column_scales, Tensor? bias, ScalarType dtype) -> Tensor",
    _scaled_reference,
    lambda sums, row_scales, column_scales, bias, dtype: sums.new_empty(sums.shape, dtype=dtype),
    _launch("scaled_sums"),
)

# Adds them to total [M, R] in place
add_scaled_sums = define(
    "add_scaled_sums(Tensor(a!) total, Tensor sums, Tensor row_scales, Tensor column_scales) -> Tensor(a!)",
    _add_reference,
    lambda total, sums, row_scales, column_scales: total,
    _launch("add_scaled_sums"),
)

# nf4 codes [R, C / 2] and scales [R, blocks] → the matrix [R, C] in `dtype`
decoded_nf4 = define(
    "decoded_nf4(Tensor codes, Tensor scales, ScalarType dtype) -> Tensor",
    decode_nf4,
    lambda codes, scales, dtype: codes.new_empty(len(codes), 2 * codes.shape[1], dtype=dtype),
    _launch("decoded_nf4"),
)
