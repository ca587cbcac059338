"""Packs sequences of any length without padding, and runs transformer blocks on them.

The rows of a batch form two *blocks*: the text rows of all items, then the image rows of all frames. Each
modality-adaptive module then reads one slice. Only attention needs the order of the sequences. It gathers the rows with
shorter sequences first, so that all sequences of one length share one call of scaled dot product attention.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from qalign.mplug_owl2.language import DecoderLayer, Multiway, rotary_tables, rotate
from qalign.mplug_owl2.model import IMAGE_TOKEN
from qalign.mplug_owl2.vision import Block, quick_gelu, split_fused_qkv


@dataclass(frozen=True)
class Packing:
    """B sequences with ΣT positions in total. `text_ids` [N] are the ids of the first N rows in block order.

    `order` [ΣT] is the row of every position in sequence order, `inverse` [ΣT] its inverse permutation. `positions`
    [ΣT] is the index within the sequence. `groups` are (sequences, length) in sequence order. `rows[b]` lists the rows
    of item b in the item's order.
    """

    text_ids: Tensor
    order: Tensor
    inverse: Tensor
    positions: Tensor
    groups: tuple[tuple[int, int], ...]
    rows: tuple[tuple[int, ...], ...]


def pack(ids: Sequence[Sequence[int]], frames: Sequence[int], tokens_per_frame: int, device: torch.device) -> Packing:
    """Pack token ids with one IMAGE_TOKEN per item and that marker's frame count. Frames are in the order of items."""
    text = [token for item in ids for token in item if token != IMAGE_TOKEN]
    rows: list[tuple[int, ...]] = []
    next_text, next_image = 0, len(text)
    for item, count in zip(ids, frames, strict=True):
        own: list[int] = []
        for token in item:
            if token == IMAGE_TOKEN:
                own.extend(range(next_image, next_image + count * tokens_per_frame))
                next_image += count * tokens_per_frame
            else:
                own.append(next_text)
                next_text += 1
        rows.append(tuple(own))
    by_length = sorted(rows, key=len)
    order = torch.tensor([row for item in by_length for row in item], dtype=torch.long)
    positions = torch.cat([torch.arange(len(item)) for item in by_length])
    groups = tuple((len(list(same)), length) for length, same in groupby(by_length, key=len))
    tensors = [torch.tensor(text, dtype=torch.long), order, order.argsort(), positions]
    return Packing(*(tensor.to(device, non_blocking=True) for tensor in tensors), groups, tuple(rows))


class _Permuted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return permuted(grad, inverse, order), None, None


def permuted(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """x[order] for a permutation. Its gradient is a gather by `inverse`; that of an index would sort and add."""
    return _Permuted.apply(x, order, inverse)


def packed_rotary(packing: Packing, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin [ΣT, 1, d] in fp32, in sequence order."""
    longest = packing.groups[-1][1]
    cos, sin = rotary_tables(longest, head_dim, theta, packing.positions.device)
    return cos[packing.positions, None], sin[packing.positions, None]


def by_modality(pair: Multiway, x: Tensor, text_rows: int) -> Tensor:
    """Apply the text module to the first `text_rows` rows and the image module to the rest: [ΣT, C] in block order."""
    (text, image), rows = pair.multiway, x.split([text_rows, len(x) - text_rows])
    return torch.cat([text(rows[0]), image(rows[1])])


def decoder_layer(layer: DecoderLayer, x: Tensor, packing: Packing, cos: Tensor, sin: Tensor) -> Tensor:
    """`DecoderLayer.forward` for rows [ΣT, D] in block order."""
    attention, texts = layer.self_attn, len(packing.text_ids)
    h = by_modality(layer.input_layernorm, x, texts)

    def heads(rows: Tensor) -> Tensor:  # [ΣT, D] in block order → [ΣT, H, d] in sequence order
        return permuted(rows, packing.order, packing.inverse).unflatten(1, (attention.heads, -1))

    query = rotate(heads(attention.q_proj(h)), cos, sin)
    key = rotate(heads(by_modality(attention.k_proj, h, texts)), cos, sin)
    value = heads(by_modality(attention.v_proj, h, texts))
    attended = permuted(attend(query, key, value, packing.groups), packing.inverse, packing.order)
    x = x + attention.o_proj(attended)
    return x + layer.mlp(by_modality(layer.post_attention_layernorm, x, texts))


def attend(query: Tensor, key: Tensor, value: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
    """Causal attention within every sequence: [ΣT, H, d] → [ΣT, H·d]."""
    sizes = [count * length for count, length in groups]
    parts = []
    for (count, length), *qkv in zip(groups, *(t.split(sizes) for t in (query, key, value)), strict=True):
        shaped = [part.unflatten(0, (count, length)).transpose(1, 2) for part in qkv]  # [n, H, T, d]
        parts.append(scaled_dot_product_attention(*shaped, is_causal=True).transpose(1, 2).flatten(0, 1))
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).flatten(1)


class _Split(torch.autograd.Function):
    """`split_fused_qkv`, whose gradients are written into one tensor at once."""

    @staticmethod
    def forward(ctx, fused: Tensor, heads: int) -> tuple[Tensor, ...]:
        ctx.heads, ctx.shape = heads, fused.shape
        return tuple(part.view_as(part) for part in split_fused_qkv(fused, heads))

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        fused = grads[0].new_empty(ctx.shape)
        for part, grad in zip(split_fused_qkv(fused, ctx.heads), grads, strict=True):
            part.copy_(grad)
        return fused, None


def vision_block(block: Block, x: Tensor, activate: Callable[[Tensor], Tensor] = quick_gelu) -> Tensor:
    """`Block.forward` with fused attention. The literal block stores 16×1025×1025 attention weights per picture."""
    attention, mlp = block.self_attn, block.mlp
    qkv = _Split.apply(attention.query_key_value(block.input_layernorm(x)), attention.heads)
    x = x + attention.dense(scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2))
    return x + mlp.fc2(activate(mlp.fc1(block.post_attention_layernorm(x))))
