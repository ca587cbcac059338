"""The Triton programs of fused blocks. They compute in fp32; results round where the references round."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .gates import SLOPE
from .norms import ROWS

ENTRIES = 1024  # of a program of an activation
SLOPED: tl.constexpr = tl.constexpr(SLOPE)


def _warps(width: int) -> int:
    return 8 if width >= 2048 else 4


@triton.jit(do_not_specialize=["texts"])
def _rms(x, text, image, out, texts, eps, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < width
    values = tl.load(x + row * width + lane, mask=inside, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values, axis=0) / width + eps)
    unit = (values * scale).to(out.dtype.element_ty).to(tl.float32)
    if row < texts:
        weight = tl.load(text + lane, mask=inside, other=0.0).to(tl.float32)
    else:
        weight = tl.load(image + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + lane, (unit * weight).to(out.dtype.element_ty), mask=inside)


def rms(x: Tensor, text: Tensor, image: Tensor, texts: int, eps: float) -> Tensor:
    x, width = x.contiguous(), x.shape[1]
    out = torch.empty_like(x)
    if len(x):
        _rms[(len(x),)](
            *(x, text, image, out, texts, eps, width),
            **{"BLOCK": triton.next_power_of_2(width), "num_warps": _warps(width)},
        )
    return out


@triton.jit(do_not_specialize=["texts", "count", "text_programs"])
def _rms_gradient(
    grad,
    residual,
    x,
    text,
    image,
    out,
    sums,
    texts,
    count,
    text_programs,
    eps,
    width,
    ADDED: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A program has up to ROWS rows of one modality, and adds up the gradient of its weight over them."""
    program = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < width
    if program < text_programs:
        first = program * ROWS
        last = tl.minimum(first + ROWS, texts)
        weight = tl.load(text + lane, mask=inside, other=0.0).to(tl.float32)
    else:
        first = texts + (program - text_programs) * ROWS
        last = tl.minimum(first + ROWS, count)
        weight = tl.load(image + lane, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for row in range(first, last):
        at = row * width + lane
        values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        given = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(values * values, axis=0) / width + eps)
        unit = values * scale
        total += given * unit.to(x.dtype.element_ty).to(tl.float32)
        weighted = given * weight
        answer = scale * (weighted - unit * (tl.sum(weighted * unit, axis=0) / width))
        if ADDED:
            answer += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + at, answer.to(out.dtype.element_ty), mask=inside)
    tl.store(sums + program * width + lane, total, mask=inside)


def rms_gradient(
    grad: Tensor, residual: Tensor | None, x: Tensor, text: Tensor, image: Tensor, texts: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    x, (count, width) = x.contiguous(), x.shape
    residual = x if residual is None else residual.contiguous()
    parts = triton.cdiv(texts, ROWS), triton.cdiv(count - texts, ROWS)
    out = torch.empty_like(x)
    sums = torch.empty(sum(parts), width, dtype=torch.float32, device=x.device)
    if count:
        _rms_gradient[(sum(parts),)](
            *(grad.contiguous(), residual, x, text, image, out, sums, texts, count, parts[0], eps, width),
            **{"ADDED": residual is not x, "ROWS": ROWS},
            **{"BLOCK": triton.next_power_of_2(width), "num_warps": _warps(width)},
        )
    of_text, of_image = (part.sum(0) for part in sums.split(parts))
    return out, of_text.to(text.dtype), of_image.to(image.dtype)


@triton.jit
def _turned(
    x,
    rows,
    places,
    cos,
    sin,
    out,
    PLACED: tl.constexpr,
    BACK: tl.constexpr,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
    HEAD_BLOCK: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
):
    program = tl.program_id(0).to(tl.int64)
    head, lane = tl.arange(0, HEAD_BLOCK)[:, None], tl.arange(0, HALF_BLOCK)[None, :]
    inside = (head < HEADS) & (lane < HALF)
    at = head * 2 * HALF + lane
    place = program
    if PLACED:
        place = tl.load(places + program)
    cosine = tl.load(cos + place * 2 * HALF + lane, mask=lane < HALF, other=0.0)
    sine = tl.load(sin + place * 2 * HALF + lane, mask=lane < HALF, other=0.0)
    if BACK:
        sine = -sine
    source = x + tl.load(rows + program) * HEADS * 2 * HALF
    target = out + program * HEADS * 2 * HALF
    first = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + at + HALF, mask=inside, other=0.0).to(tl.float32)
    kind = out.dtype.element_ty
    tl.store(target + at, (first * cosine - second * sine).to(kind), mask=inside)
    tl.store(target + at + HALF, (second * cosine + first * sine).to(kind), mask=inside)


def turned(x: Tensor, rows: Tensor, places: Tensor | None, cos: Tensor, sin: Tensor, back: bool) -> Tensor:
    x, (count, width) = x.contiguous(), x.shape
    half = cos.shape[1] // 2
    heads = width // (2 * half)
    out = torch.empty_like(x)
    if count:
        _turned[(count,)](
            *(x, rows, rows if places is None else places, cos.contiguous(), sin.contiguous(), out),
            **{"PLACED": places is not None, "BACK": back, "HEADS": heads, "HALF": half, "num_warps": _warps(width)},
            **{"HEAD_BLOCK": triton.next_power_of_2(heads), "HALF_BLOCK": triton.next_power_of_2(half)},
        )
    return out


@triton.jit
def _gated(gate, up, out, total, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    wide = tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(up + at, mask=inside, other=0.0).to(tl.float32)
    kind = out.dtype.element_ty
    active = (wide / (1.0 + tl.exp(-wide))).to(kind).to(tl.float32)
    tl.store(out + at, (active * other).to(kind), mask=inside)


@triton.jit
def _gated_gradient(grad, gate, up, of_gate, of_up, total, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    given = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    wide = tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    other = tl.load(up + at, mask=inside, other=0.0).to(tl.float32)
    kind = of_gate.dtype.element_ty
    share = 1.0 / (1.0 + tl.exp(-wide))
    active = (wide * share).to(kind).to(tl.float32)
    tl.store(of_gate + at, (given * other * share * (1.0 + wide * (1.0 - share))).to(kind), mask=inside)
    tl.store(of_up + at, (given * active).to(kind), mask=inside)


@triton.jit
def _quick_gelu(x, out, total, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    wide = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (wide / (1.0 + tl.exp(-(wide * SLOPED)))).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _quick_gelu_gradient(grad, x, out, total, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    given = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    wide = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    share = 1.0 / (1.0 + tl.exp(-(wide * SLOPED)))
    answer = given * share * (1.0 + wide * SLOPED * (1.0 - share))
    tl.store(out + at, answer.to(out.dtype.element_ty), mask=inside)


def _each(program, inputs: list[Tensor], results: int) -> list[Tensor]:
    """Launch a program on the entries of tensors of one shape."""
    inputs = [value.contiguous() for value in inputs]
    outputs = [torch.empty_like(inputs[-1]) for _ in range(results)]
    total = inputs[0].numel()
    if total:
        program[(triton.cdiv(total, ENTRIES),)](*inputs, *outputs, total, BLOCK=ENTRIES)
    return outputs


def gated(gate: Tensor, up: Tensor) -> Tensor:
    return _each(_gated, [gate, up], 1)[0]


def gated_gradient(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, ...]:
    return tuple(_each(_gated_gradient, [grad, gate, up], 2))


def quick_gelu(x: Tensor) -> Tensor:
    return _each(_quick_gelu, [x], 1)[0]


def quick_gelu_gradient(grad: Tensor, x: Tensor) -> Tensor:
    return _each(_quick_gelu_gradient, [grad, x], 1)[0]
