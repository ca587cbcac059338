"""Codes of Adam's moments in 8 bits, and one AdamW update of some rows in plain torch.

Each row of a matrix is split into blocks of 256 entries, each block with its own scale. The first moment is coded as
the square root of |m| / scale, in 7 bits and a sign. The second moment is coded as the fourth root of v / scale, in 8
bits. Adam divides by √v, so small values matter, and linear codes would round them to zero. `test_adamw_8bit.py`
measures this. Blocks never cross rows, so sharding by rows (FSDP2) and resharding on resume do not split them.

A bf16 weight of 1 changes in steps of 2^-7, but updates are 1e-5: rounding to the nearest value would lose all of
them. Stochastic rounding keeps them on average (Gupta et al., arXiv 1502.02551).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 256
TINIEST = 1e-38  # the least scale, so that blocks of zeros are not divided by zero


@dataclass(frozen=True)
class Rule:
    """The numbers of one AdamW update. `step` starts at 1."""

    rate: float
    first: float
    second: float
    eps: float
    decay: float
    step: int


def update_rows(values: Tensor, grad: Tensor, moments: Sequence[Tensor], rule: Rule, random: torch.Generator) -> None:
    """One update of values [R, …] and their moments in place. Moments: two in fp32, or codes and scales of both."""
    m, v = moments if len(moments) == 2 else (decode_signed(*moments[:2]), decode_positive(*moments[2:]))
    g = grad.float()
    m.lerp_(g, 1 - rule.first)
    v.mul_(rule.second).addcmul_(g, g, value=1 - rule.second)
    divisor = (v / (1 - rule.second**rule.step)).sqrt_().add_(rule.eps)
    wide = values.float()  # `values` themselves if they have fp32
    if rule.rate * rule.decay:
        wide.mul_(1 - rule.rate * rule.decay)
    wide.addcdiv_(m, divisor, value=-rule.rate / (1 - rule.first**rule.step))
    if values.dtype == torch.bfloat16:
        add_noise(wide, random)
    if wide is not values:
        values.copy_(wide)
    if len(moments) == 4:
        encode_signed_(m, *moments[:2])
        encode_positive_(v, *moments[2:])


def blocked(x: Tensor) -> Tensor:
    """[R, …] → [R, blocks, 256]: a view, or a copy that is padded with zeros."""
    rows = x.reshape(len(x), -1)
    missing = -rows.shape[1] % BLOCK
    return (functional.pad(rows, (0, missing)) if missing else rows).unflatten(1, (-1, BLOCK))


def unblocked(blocks: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `blocked`, for the shape [R, …]."""
    return blocks.flatten(1)[:, : shape[1:].numel()].reshape(shape)


def encode_signed(x: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [R, …] → int8 codes of the same shape and scales [R, blocks]."""
    return _encoded(encode_signed_, x.clone(), torch.int8)


def encode_signed_(x: Tensor, code: Tensor, scale: Tensor) -> None:
    """`encode_signed` into given tensors."""
    blocks = blocked(x)
    unit = blocks.abs()
    torch.amax(unit, -1, out=scale)
    unit.div_(scale.clamp_min(TINIEST)[..., None]).sqrt_().mul_(127).round_().copysign_(blocks)
    code.copy_(unblocked(unit, x.shape))


def decode_signed(code: Tensor, scale: Tensor) -> Tensor:
    """int8 codes [R, …] and scales → float32."""
    unit = blocked(code.float().div_(127))
    return unblocked(unit.mul_(unit.abs()).mul_(scale[..., None]), code.shape)


def encode_positive(x: Tensor) -> tuple[Tensor, Tensor]:
    """float32 ≥ 0 → uint8 codes and scales. Positive values stay positive, because they are divisors."""
    return _encoded(encode_positive_, x.clone(), torch.uint8)


def encode_positive_(x: Tensor, code: Tensor, scale: Tensor) -> None:
    """`encode_positive` into given tensors. Overwrites x."""
    unit = blocked(x)
    torch.amax(unit, -1, out=scale)
    positive = unit > 0
    unit.div_(scale.clamp_min(TINIEST)[..., None]).sqrt_().sqrt_().mul_(255).round_().clamp_min_(1).mul_(positive)
    code.copy_(unblocked(unit, x.shape))


def decode_positive(code: Tensor, scale: Tensor) -> Tensor:
    """uint8 codes [R, …] and scales → float32."""
    return unblocked(blocked(code.float().div_(255)).pow_(4).mul_(scale[..., None]), code.shape)


def _encoded(encode, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    code = torch.empty(x.shape, dtype=dtype, device=x.device)
    scale = torch.empty(len(x), -(-x[:1].numel() // BLOCK), device=x.device)
    encode(x, code, scale)
    return code, scale


def add_noise(x: Tensor, random: torch.Generator) -> None:
    """Round float32 to values of bf16 in place, up with a probability equal to the part that is cut off."""
    noise = torch.randint(0, 1 << 16, x.shape, dtype=torch.int32, device=x.device, generator=random)
    bits = x.view(torch.int32)
    bits.add_(noise).bitwise_and_(-(1 << 16))
