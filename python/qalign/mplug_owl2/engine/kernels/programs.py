"""The Triton programs and their launches. Sums and rotations are in fp32; results round where the references round."""

import torch
import triton
import triton.language as tl
from torch import Tensor

GATED_BLOCK = 1024


def _warps(width: int) -> int:
    return 8 if width >= 2048 else 4


@triton.jit
def _rms_rows(x, weights, out, ways, rows, text_eps, image_eps, width, ORDERED: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    source = row
    if ORDERED:
        source = tl.load(rows + row).to(tl.int64)
    way = tl.load(ways + row)
    lane = tl.arange(0, BLOCK)
    inside = lane < width
    values = tl.load(x + source * width + lane, mask=inside, other=0.0).to(tl.float32)
    eps = tl.where(way != 0, image_eps, text_eps)
    scale = tl.rsqrt(tl.sum(values * values, axis=0) / width + eps)
    normed = (values * scale).to(out.dtype.element_ty).to(tl.float32)
    weight = tl.load(weights + way * width + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + lane, (normed * weight).to(out.dtype.element_ty), mask=inside)


def rms_rows(
    x: Tensor, weights: Tensor, text_eps: float, image_eps: float, ways: Tensor, rows: Tensor | None
) -> Tensor:
    width = x.shape[1]
    out = x.new_empty(len(ways), width)
    if len(ways):
        given = ways if rows is None else rows
        _rms_rows[(len(ways),)](
            *(x.contiguous(), weights, out, ways, given, text_eps, image_eps, width),
            **{"ORDERED": rows is not None, "BLOCK": triton.next_power_of_2(width), "num_warps": _warps(width)},
        )
    return out


@triton.jit
def _shifted_layer_norm(x, shift, weight, bias, out, eps, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    inside = lane < width
    values = tl.load(x + row * width + lane, mask=inside, other=0.0).to(tl.float32)
    values += tl.load(shift + lane, mask=inside, other=0.0)
    centred = tl.where(inside, values - tl.sum(values, axis=0) / width, 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, axis=0) / width + eps)
    factor = tl.load(weight + lane, mask=inside, other=0.0).to(tl.float32)
    constant = tl.load(bias + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + lane, (centred * scale * factor + constant).to(out.dtype.element_ty), mask=inside)


def shifted_layer_norm(x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    x = x.contiguous()
    width = x.shape[-1]
    out = torch.empty_like(x)
    rows = x.numel() // width
    if rows:
        _shifted_layer_norm[(rows,)](
            *(x, shift, weight, bias, out, eps, width),
            **{"BLOCK": triton.next_power_of_2(width), "num_warps": _warps(width)},
        )
    return out


@triton.jit
def _gated(gate_up, out, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < width
    gate = tl.load(gate_up + row * 2 * width + lane, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * width + width + lane, mask=inside, other=0.0).to(tl.float32)
    activated = (gate / (1.0 + tl.exp(-gate))).to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + row * width + lane, (activated * up).to(out.dtype.element_ty), mask=inside)


def gated(gate_up: Tensor) -> Tensor:
    gate_up = gate_up.contiguous()
    width = gate_up.shape[-1] // 2
    out = gate_up.new_empty(*gate_up.shape[:-1], width)
    rows = out.numel() // width
    if rows:
        _gated[(rows, triton.cdiv(width, GATED_BLOCK))](gate_up, out, width, BLOCK=GATED_BLOCK)
    return out


# These numbers differ between batches. Specialised, they would compile again for 1 and for multiples of 16.
@triton.jit(do_not_specialize=["images", "blocks", "keys"])
def _in_sequence(
    query,
    image,
    text,
    prefix,
    query_rows,
    query_places,
    key_rows,
    key_places,
    cos,
    sin,
    queries_out,
    keys_out,
    images,
    blocks,
    keys,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
    HEAD_BLOCK: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
):
    """Programs below `keys` write one row of keys and values, the others one row of queries."""
    program = tl.program_id(0).to(tl.int64)
    head, lane = tl.arange(0, HEAD_BLOCK)[:, None], tl.arange(0, HALF_BLOCK)[None, :]
    inside = (head < HEADS) & (lane < HALF)
    width = HEADS * 2 * HALF
    at = head * 2 * HALF + lane
    if program < keys:
        row = tl.load(key_rows + program).to(tl.int64)
        place = tl.load(key_places + program)
        if row < images:
            source = image + row * 2 * width
        elif row < blocks:
            source = text + (row - images) * 2 * width
        else:
            source = prefix + (row - blocks) * 2 * width
        target = keys_out + program * 2 * width
        for part in tl.static_range(2):
            values = width + at + part * HALF
            tl.store(target + values, tl.load(source + values, mask=inside), mask=inside)
    else:
        row = tl.load(query_rows + program - keys).to(tl.int64)
        place = tl.load(query_places + program - keys)
        source = query + row * width
        target = queries_out + (program - keys) * width
    angle = place.to(tl.int64) * 2 * HALF + lane  # both halves of a table are equal
    cosine = tl.load(cos + angle, mask=lane < HALF, other=0.0)
    sine = tl.load(sin + angle, mask=lane < HALF, other=0.0)
    first = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + at + HALF, mask=inside, other=0.0).to(tl.float32)
    kind = queries_out.dtype.element_ty
    tl.store(target + at, (first * cosine - second * sine).to(kind), mask=inside)
    tl.store(target + at + HALF, (second * cosine + first * sine).to(kind), mask=inside)


def in_sequence(
    query: Tensor,
    image: Tensor,
    text: Tensor,
    prefix: Tensor,
    query_rows: Tensor,
    query_places: Tensor,
    key_rows: Tensor,
    key_places: Tensor,
    cos: Tensor,
    sin: Tensor,
    heads: int,
) -> tuple[Tensor, Tensor]:
    width = query.shape[1]
    queries, keys = query.new_empty(len(query_rows), width), query.new_empty(len(key_rows), 2 * width)
    half = width // heads // 2
    _in_sequence[(len(keys) + len(queries),)](
        *(part.contiguous() for part in (query, image, text, prefix)),
        *(query_rows, query_places, key_rows, key_places, cos, sin, queries, keys),
        *(len(image), len(image) + len(text), len(keys)),
        **{"HEADS": heads, "HALF": half, "num_warps": _warps(width)},
        **{"HEAD_BLOCK": triton.next_power_of_2(heads), "HALF_BLOCK": triton.next_power_of_2(half)},
    )
    return queries, keys
