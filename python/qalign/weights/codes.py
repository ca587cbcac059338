"""Codes of matrices in 8 and 4 bits: encoding, decoding, and products with them. Plain torch, on every device.

`fp8` is e4m3 and `int8` is signed, both with one scale per row. `nf4` (QLoRA, arXiv 2305.14314) has blocks of 64 along
a row. Each entry is one of sixteen quantiles of the normal distribution, two entries per byte.

A change that moves scores must increase CODES_VERSION in src/recipes/score/score-version.ts.
"""

import logging
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

CODES = ("fp8", "int8", "nf4")
E4M3_MOST = 448.0
MOST = {"fp8": E4M3_MOST, "int8": 127.0}  # the largest code
LEAST_ROWS = {"fp8": 16, "int8": 32}  # of the left side of a product on CUDA; _int_mm needs more than 16
log = logging.getLogger(__name__)
TINIEST = 1.2e-38  # a normal number: a GPU can flush smaller ones to zero
NF4_BLOCK = 64
# QLoRA, appendix E: quantiles of N(0, 1), scaled to [-1, 1], with an exact zero
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def encode(kind: str, weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → codes and fp32 scales of one of CODES. Both have R rows, so that matrices are fused by rows."""
    return ENCODERS[kind](weight)


def decode(kind: str, codes: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    """Codes → [R, C] in `dtype`, rounded once from fp32."""
    if kind == "nf4":
        return decode_nf4(codes, scales, dtype)
    out = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    wide = codes if kind == "int8" else codes.float()  # a product of int8 and fp32 is one pass, in fp32
    return torch.mul(wide, scales, out=out)


def encode_fp8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → e4m3 [R, C] and scales [R, 1]."""
    wide = weight.float()
    scale = wide.abs().amax(1, keepdim=True) / E4M3_MOST
    return _e4m3(wide, scale), scale


def encode_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → int8 [R, C] and scales [R, 1]."""
    wide = weight.float()
    scale = wide.abs().amax(1, keepdim=True) / 127
    return (wide / scale.clamp_min(TINIEST)).round().to(torch.int8), scale


def encode_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → two codes per byte, uint8 [R, C / 2], and scales [R, blocks]. C must be even."""
    wide = weight.float()
    padded = functional.pad(wide, (0, -wide.shape[1] % NF4_BLOCK)).unflatten(1, (-1, NF4_BLOCK))
    scale = padded.abs().amax(-1)
    unit = (padded / scale.clamp_min(TINIEST)[..., None]).flatten(1)[:, : wide.shape[1]]
    table = torch.tensor(NF4, device=weight.device)
    middles = (table[1:] + table[:-1]) / 2
    code = torch.bucketize(unit.contiguous(), middles).to(torch.uint8)
    return code[:, ::2] << 4 | code[:, 1::2], scale


ENCODERS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "fp8": encode_fp8,
    "int8": encode_int8,
    "nf4": encode_nf4,
}


def decode_nf4(codes: Tensor, scales: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Two kernels: a lookup of both values of a byte, and a product in fp32 that is stored in `dtype`."""
    rows, half = codes.shape
    unit = _pairs(codes.device).index_select(0, codes.flatten().int()).view(rows, 2 * half)
    if 2 * half % NF4_BLOCK:
        return (unit * scales.repeat_interleave(NF4_BLOCK, dim=1)[:, : 2 * half]).to(dtype)
    blocks = unit.view(rows, -1, NF4_BLOCK)
    return torch.mul(blocks, scales[..., None], out=torch.empty_like(blocks, dtype=dtype)).view(rows, 2 * half)


@lru_cache
def _pairs(device: torch.device) -> Tensor:
    """fp32 [256, 2]: the two values of every byte."""
    with torch.inference_mode(False):
        table = torch.tensor(NF4, device=device)
        return torch.stack([table.repeat_interleave(16), table.repeat(16)], dim=1)


def product(kind: str, codes: Tensor, scales: Tensor, x: Tensor) -> Tensor:
    """x [M, C] times the transposed matrix → [M, R] in the dtype of x.

    fp8 and int8 quantise each row of x to the same code first. nf4 decodes the matrix.
    """
    if kind == "nf4":
        return functional.linear(x, decode_nf4(codes, scales, x.dtype))
    left, left_scales = quantise_rows(x, kind)
    if kind == "fp8":
        return fp8_product(codes, scales, left, left_scales, len(x), x.dtype)
    wide = int8_sums(codes, left, len(x)) * left_scales[: len(x)]
    return torch.mul(wide, scales.t(), out=torch.empty(wide.shape, dtype=x.dtype, device=x.device))


def product_rows(kind: str, rows: int) -> int:
    """Rows of a device product: a multiple of 16. Few rows are padded, so that a score does not depend on the batch."""
    return max(-(-rows // 16) * 16, LEAST_ROWS[kind])


def coded_rows(kind: str, rows: int) -> int:
    """Rows of the codes of `rows` rows, with so many rows of zeros that each slice of the rows can be padded."""
    return -(-rows // 16) * 16 + LEAST_ROWS[kind]


def quantise_rows(x: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """x [M, C] → fp8 or int8 codes [P, C] and fp32 scales [P, 1], P = coded_rows(kind, M).

    Infinity and NaN reach the scale of their row, so that a damaged row is found in its logits.
    """
    scale = x.abs().amax(1, keepdim=True).float() / MOST[kind]
    codes = _e4m3(x, scale) if kind == "fp8" else (x / scale.clamp_min(TINIEST)).round_().to(torch.int8)
    more = coded_rows(kind, len(x)) - len(x)
    zeros = codes.new_zeros(more, x.shape[1])
    return torch.cat([codes, zeros]), torch.cat([scale, scale.new_zeros(more, 1)])


def fp8_product(
    codes: Tensor,
    scales: Tensor,
    left: Tensor,
    left_scales: Tensor,
    rows: int,
    dtype: torch.dtype,
    bias: Tensor | None = None,
) -> Tensor:
    """The first `rows` rows of `quantise_rows` times a transposed matrix, plus bias [R] in `dtype` → [rows, R]."""
    padded = product_rows("fp8", rows)
    shape = padded, *codes.shape
    operands = left[:padded], codes.t(), left_scales[:padded], scales.t()
    if shape not in _unsupported:
        try:
            if left.is_cuda and dtype != torch.bfloat16:  # some versions of torch have only bf16 results here
                y = torch._scaled_mm(*operands, out_dtype=torch.bfloat16)[:rows].to(dtype)
                return y if bias is None else y.add_(bias)
            return torch._scaled_mm(*operands, bias=bias, out_dtype=dtype)[:rows]
        except RuntimeError as error:
            if "CUBLAS_STATUS_NOT_SUPPORTED" not in str(error):
                raise
            if not _unsupported:
                log.warning(
                    "some fp8 products are scaled in a separate pass, because cuBLAS has no other: %s", str(error)
                )
            _unsupported.add(shape)
    one = _one(left.device)
    sums = torch._scaled_mm(*operands[:2], one, one, out_dtype=torch.float32)[:rows]
    wide = sums.mul_(left_scales[:rows]).mul_(scales.t())
    return (wide if bias is None else wide.add_(bias)).to(dtype)


# Shapes (rows, outputs, inputs) for which cuBLAS has no product with a scale per row. Version 13 lacks those of few
# rows with many inputs on Hopper.
_unsupported: set[tuple[int, ...]] = set()


@lru_cache
def _one(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.ones((), device=device)


def int8_sums(codes: Tensor, left: Tensor, rows: int) -> Tensor:
    """The first `rows` rows of int8 codes times a transposed matrix of codes → int32 [rows, R]."""
    return torch._int_mm(left[: product_rows("int8", rows)], codes.t())[:rows]


def _e4m3(x: Tensor, scale: Tensor) -> Tensor:
    """The clamp avoids NaN: the division can round to more than 448, the largest value of the type."""
    return (x / scale.clamp_min(TINIEST)).clamp_(-E4M3_MOST, E4M3_MOST).to(torch.float8_e4m3fn)


def matrix_fits(kind: str, rows: int, columns: int) -> bool:
    """Whether a matrix [rows, columns] has the shape that the device products of this code need."""
    multiple = {"fp8": 16, "int8": 8, "nf4": 2}[kind]
    return columns % multiple == 0 and (kind == "nf4" or rows % multiple == 0)


def encoded_bytes(kind: str, rows: int, columns: int) -> int:
    """Bytes of the codes and scales of a matrix."""
    if kind == "nf4":
        return rows * columns // 2 + 4 * rows * -(-columns // NF4_BLOCK)
    return rows * columns + 4 * rows
