"""The Triton programs of an AdamW update. Divisions and roots round to nearest, as in torch.

Each entry is read and written once: 10 bytes for a bf16 weight with coded moments. A program has whole blocks of codes.
"""

import triton
import triton.language as tl
from torch import Tensor

from .moments import BLOCK

BLOCKS = 8  # of a program
LANES = 1024  # entries of a program without codes
HALFWAY: tl.constexpr = tl.constexpr(12582912.0)  # 1.5 · 2²³: the sum has no fraction bits, and rounds half to even
TINIEST: tl.constexpr = tl.constexpr(1.2e-38)  # a normal number: a GPU can flush smaller ones to zero
SEED_BITS = 31  # of each half of a seed, so that Triton always sees a 32-bit number


@triton.jit
def _mix(x):
    """The finaliser of MurmurHash3: every bit of the result depends on every bit of x (uint32)."""
    x ^= x >> 16
    x *= 0x85EBCA6B
    x ^= x >> 13
    x *= 0xC2B2AE35
    return x ^ (x >> 16)


@triton.jit
def _store(target, at, inside, values, seed_low, seed_high):
    """Store fp32 values. A bf16 target rounds up with a probability equal to the part that is cut off."""
    if target.dtype.element_ty == tl.bfloat16:
        key = _mix(_mix(seed_low.to(tl.uint32)) + seed_high.to(tl.uint32))
        noise = _mix(_mix(at.to(tl.uint32) ^ key) + key) >> 16
        bits = (values.to(tl.uint32, bitcast=True) + noise) & 0xFFFF0000
        values = bits.to(tl.float32, bitcast=True)
    tl.store(target + at, values.to(target.dtype.element_ty), mask=inside)


@triton.jit
def _moved(w, g, m, v, keep, pace, gain_m, second, gain_v, correction, eps):
    """Weights and moments after one update, all fp32."""
    m += gain_m * (g - m)
    v = v * second + gain_v * g * g
    divisor = tl.sqrt_rn(tl.div_rn(v, correction)) + eps
    return w * keep + tl.div_rn(pace * m, divisor), m, v


@triton.jit(do_not_specialize=["seed_low", "seed_high"])
def _coded(
    values,
    grad,
    m_code,
    m_scale,
    v_code,
    v_scale,
    width,
    row_blocks,
    total,
    keep,
    pace,
    gain_m,
    second,
    gain_v,
    correction,
    eps,
    seed_low,
    seed_high,
    COUNT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    block = tl.program_id(0).to(tl.int64) * COUNT + tl.arange(0, COUNT)
    exists = block < total
    row = block // row_blocks
    column = ((block - row * row_blocks) * BLOCK)[:, None] + tl.arange(0, BLOCK)[None, :]
    inside = exists[:, None] & (column < width)
    at = row[:, None] * width + column
    m = tl.div_rn(tl.load(m_code + at, mask=inside, other=0).to(tl.float32), 127.0)
    m = m * tl.abs(m) * tl.load(m_scale + block, mask=exists, other=0.0)[:, None]
    v = tl.div_rn(tl.load(v_code + at, mask=inside, other=0).to(tl.float32), 255.0)
    v = (v * v) * (v * v) * tl.load(v_scale + block, mask=exists, other=0.0)[:, None]
    g = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(values + at, mask=inside, other=0.0).to(tl.float32)
    w, m, v = _moved(w, g, m, v, keep, pace, gain_m, second, gain_v, correction, eps)
    _store(values, at, inside, w, seed_low, seed_high)
    scale = tl.max(tl.abs(m), axis=1)
    unit = tl.sqrt_rn(tl.div_rn(tl.abs(m), tl.maximum(scale, TINIEST)[:, None])) * 127.0
    code = (unit + HALFWAY) - HALFWAY
    tl.store(m_code + at, tl.where(m < 0, -code, code).to(tl.int8), mask=inside)
    tl.store(m_scale + block, scale, mask=exists)
    scale = tl.max(v, axis=1)
    unit = tl.sqrt_rn(tl.sqrt_rn(tl.div_rn(v, tl.maximum(scale, TINIEST)[:, None]))) * 255.0
    code = tl.where(v > 0, tl.maximum((unit + HALFWAY) - HALFWAY, 1.0), 0.0)
    tl.store(v_code + at, code.to(tl.uint8), mask=inside)
    tl.store(v_scale + block, scale, mask=exists)


@triton.jit(do_not_specialize=["seed_low", "seed_high"])
def _wide(
    values,
    grad,
    m_held,
    v_held,
    total,
    keep,
    pace,
    gain_m,
    second,
    gain_v,
    correction,
    eps,
    seed_low,
    seed_high,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    m = tl.load(m_held + at, mask=inside, other=0.0)
    v = tl.load(v_held + at, mask=inside, other=0.0)
    g = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(values + at, mask=inside, other=0.0).to(tl.float32)
    w, m, v = _moved(w, g, m, v, keep, pace, gain_m, second, gain_v, correction, eps)
    _store(values, at, inside, w, seed_low, seed_high)
    tl.store(m_held + at, m, mask=inside)
    tl.store(v_held + at, v, mask=inside)


def update(values: Tensor, grad: Tensor, *rest: Tensor | float) -> None:
    """One update in place. The arguments of `update.update_coded` or `update_wide`, all contiguous."""
    moments = [value for value in rest if isinstance(value, Tensor)]
    rate, first, second, eps, decay, step, seed = rest[len(moments) :]
    keep, pace, correction = 1 - rate * decay, -rate / (1 - first**step), 1 - second**step
    numbers = keep, pace, 1 - first, second, 1 - second, correction, eps
    numbers += seed & ((1 << SEED_BITS) - 1), seed >> SEED_BITS
    if len(moments) == 2:
        total = values.numel()
        _wide[(triton.cdiv(total, LANES),)](values, grad, *moments, total, *numbers, BLOCK=LANES)
        return
    width, row_blocks = values.numel() // len(values), moments[1].shape[1]
    total = len(values) * row_blocks
    _coded[(triton.cdiv(total, BLOCKS),)](
        values, grad, *moments, width, row_blocks, total, *numbers, COUNT=BLOCKS, BLOCK=BLOCK
    )
