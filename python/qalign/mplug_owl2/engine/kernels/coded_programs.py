"""The Triton programs of quantised precisions. One program computes and quantises one row of activations.

Values round to the dtype of the activations before they are quantised. Divisions round to nearest, as in torch.
Triton does not specialise `count`, because it would compile again for batches of other sizes.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from qalign.weights.codes import MOST, NF4, NF4_BLOCK, TINIEST

from .coded import empty_codes

COLUMNS = 1024  # of a program of scaled sums
ENTRIES = 2048  # of a program of decoding; even
NONE, SILU, GATED = 0, 1, 2
TINY: tl.constexpr = tl.constexpr(TINIEST)
HALFWAY: tl.constexpr = tl.constexpr(12582912.0)  # 1.5 · 2²³: the sum has no fraction bits, and rounds half to even
BLOCK_OF_NF4: tl.constexpr = tl.constexpr(NF4_BLOCK)


@triton.jit
def _larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _store_codes(values, codes, scales, row, lane, width, kind: tl.constexpr, most: tl.constexpr):
    """Quantise a row of fp32 values of `kind`, zero outside of the row."""
    rounded = values.to(kind).to(tl.float32)
    scale = tl.div_rn(tl.reduce(tl.abs(rounded), 0, _larger), most)
    unit = tl.div_rn(rounded, tl.maximum(scale, TINY))
    if most == 127:
        code = (unit + HALFWAY) - HALFWAY
    else:
        code = tl.minimum(tl.maximum(unit, -most), most)
    tl.store(codes + row * width + lane, code.to(codes.dtype.element_ty), mask=lane < width)
    tl.store(scales + row, scale)


@triton.jit(do_not_specialize=["count"])
def _activation_codes(x, codes, scales, count, width, GATE: tl.constexpr, MOST: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < tl.where(row < count, width, 0)  # rows after `count` are padding
    source = x + row * (width * 2 if GATE == 2 else width) + lane
    values = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    if GATE > 0:
        values = values / (1.0 + tl.exp(-values))
    if GATE == 2:
        up = tl.load(source + width, mask=inside, other=0.0).to(tl.float32)
        values = values.to(x.dtype.element_ty).to(tl.float32) * up
    _store_codes(values, codes, scales, row, lane, width, x.dtype.element_ty, MOST)


@triton.jit
def _stream(x, delta, at, inside, ADDED: tl.constexpr):
    """Values of x in fp32. With ADDED, delta is added to x in place first, rounded to the dtype of x."""
    values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if ADDED:
        values += tl.load(delta + at, mask=inside, other=0.0).to(tl.float32)
        values = values.to(x.dtype.element_ty)
        tl.store(x + at, values, mask=inside)
        values = values.to(tl.float32)
    return values


@triton.jit(do_not_specialize=["count"])
def _rms_codes(
    x,
    delta,
    weights,
    codes,
    scales,
    ways,
    rows,
    text_eps,
    image_eps,
    count,
    width,
    ADDED: tl.constexpr,
    ORDERED: tl.constexpr,
    MOST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < tl.where(row < count, width, 0)
    source = row
    if ORDERED:
        source = tl.load(rows + row, mask=row < count, other=0).to(tl.int64)
    way = tl.load(ways + row, mask=row < count, other=0)
    values = _stream(x, delta, source * width + lane, inside, ADDED)
    eps = tl.where(way != 0, image_eps, text_eps)
    scale = tl.rsqrt(tl.sum(values * values, axis=0) / width + eps)
    normed = (values * scale).to(x.dtype.element_ty).to(tl.float32)
    weight = tl.load(weights + way * width + lane, mask=inside, other=0.0).to(tl.float32)
    _store_codes(normed * weight, codes, scales, row, lane, width, x.dtype.element_ty, MOST)


@triton.jit(do_not_specialize=["count"])
def _layer_norm_codes(
    x,
    delta,
    shift,
    weight,
    bias,
    codes,
    scales,
    eps,
    count,
    width,
    ADDED: tl.constexpr,
    MOST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < tl.where(row < count, width, 0)
    values = _stream(x, delta, row * width + lane, inside, ADDED)
    values += tl.load(shift + lane, mask=inside, other=0.0)
    centred = tl.where(inside, values - tl.sum(values, axis=0) / width, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / width + eps)
    factor = tl.load(weight + lane, mask=inside, other=0.0).to(tl.float32)
    constant = tl.load(bias + lane, mask=inside, other=0.0).to(tl.float32)
    _store_codes(centred * scale * factor + constant, codes, scales, row, lane, width, x.dtype.element_ty, MOST)


def _shape(width: int, kind: str) -> dict[str, int | float]:
    block = triton.next_power_of_2(width)
    return {"MOST": MOST[kind], "BLOCK": block, "num_warps": min(16, max(4, block // 512))}


def _activated(gate: int, x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    width = x.shape[-1] // (2 if gate == GATED else 1)
    count = x.numel() // x.shape[-1]
    codes, scales = empty_codes(x, count, width, kind)
    _activation_codes[(len(codes),)](x, codes, scales, count, width, GATE=gate, **_shape(width, kind))
    return codes, scales


def quantised_rows(x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    return _activated(NONE, x, kind)


def silu_codes(x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    return _activated(SILU, x, kind)


def gated_codes(gate_up: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    return _activated(GATED, gate_up, kind)


def rms_codes(
    x: Tensor,
    delta: Tensor | None,
    weights: Tensor,
    text_eps: float,
    image_eps: float,
    ways: Tensor,
    rows: Tensor | None,
    kind: str,
) -> tuple[Tensor, Tensor]:
    count, width = len(ways), x.shape[1]
    codes, scales = empty_codes(x, count, width, kind)
    _rms_codes[(len(codes),)](
        *(x, x if delta is None else delta, weights, codes, scales, ways, ways if rows is None else rows),
        *(text_eps, image_eps, count, width),
        **{"ADDED": delta is not None, "ORDERED": rows is not None, **_shape(width, kind)},
    )
    return codes, scales


def layer_norm_codes(
    x: Tensor, delta: Tensor | None, shift: Tensor, weight: Tensor, bias: Tensor, eps: float, kind: str
) -> tuple[Tensor, Tensor]:
    width = x.shape[-1]
    count = x.numel() // width
    codes, scales = empty_codes(x, count, width, kind)
    _layer_norm_codes[(len(codes),)](
        *(x, x if delta is None else delta, shift, weight, bias, codes, scales, eps, count, width),
        **{"ADDED": delta is not None, **_shape(width, kind)},
    )
    return codes, scales


@triton.jit
def _scaled_sums(
    sums, row_scales, column_scales, bias, out, columns, BIAS: tl.constexpr, ADD: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < columns
    at = row * columns + lane
    values = tl.load(sums + at, mask=inside, other=0).to(tl.float32) * tl.load(row_scales + row)
    values *= tl.load(column_scales + lane, mask=inside, other=0.0)
    if BIAS:
        values += tl.load(bias + lane, mask=inside, other=0.0).to(tl.float32)
    if ADD:
        values += tl.load(out + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, values.to(out.dtype.element_ty), mask=inside)


def _scale(
    out: Tensor, sums: Tensor, row_scales: Tensor, column_scales: Tensor, bias: Tensor | None, add: bool
) -> None:
    rows, columns = sums.shape
    if rows:
        _scaled_sums[(rows, triton.cdiv(columns, COLUMNS))](
            *(sums.contiguous(), row_scales, column_scales, column_scales if bias is None else bias, out, columns),
            **{"BIAS": bias is not None, "ADD": add, "BLOCK": COLUMNS},
        )


def scaled_sums(
    sums: Tensor, row_scales: Tensor, column_scales: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Tensor:
    out = torch.empty(sums.shape, dtype=dtype, device=sums.device)
    _scale(out, sums, row_scales, column_scales, bias, False)
    return out


def add_scaled_sums(total: Tensor, sums: Tensor, row_scales: Tensor, column_scales: Tensor) -> Tensor:
    _scale(total, sums, row_scales, column_scales, None, True)
    return total


@triton.jit
def _decoded_nf4(codes, scales, table, out, half, blocks, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < 2 * half
    pair = tl.load(codes + row * half + lane // 2, mask=inside, other=0).to(tl.int32)
    code = tl.where(lane % 2 == 0, pair >> 4, pair & 15)
    scale = tl.load(scales + row * blocks + lane // BLOCK_OF_NF4, mask=inside, other=0.0)
    value = tl.load(table + code) * scale
    tl.store(out + row * 2 * half + lane, value.to(out.dtype.element_ty), mask=inside)


def decoded_nf4(codes: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    rows, half = codes.shape
    out = torch.empty(rows, 2 * half, dtype=dtype, device=codes.device)
    _decoded_nf4[(rows, triton.cdiv(2 * half, ENTRIES))](
        codes, scales, _table(codes.device), out, half, scales.shape[1], BLOCK=ENTRIES
    )
    return out


@lru_cache
def _table(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(NF4, device=device)
