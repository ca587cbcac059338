"""The language model of the scoring engine.

The rows of all items of a call form two blocks: first every image row, then every text row. Each modality-adaptive
module reads one slice, and linear layers read one matrix without padding. Only attention needs an item's rows in order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear, pad, rms_norm, scaled_dot_product_attention, silu

from ..language import DecoderLayer, RMSNorm, rotary_tables, rotate
from ..model import MPLUGOwl2
from .layout import IMAGE, Layout, prefix_layout
from .matrix import fused

KeyValue = tuple[Tensor, Tensor]  # [1, T, heads, d] each, keys rotated
PREFIXES_KEPT = 64
# Elements: 4096 positions, 64 MB. The mask of a longer sequence would be larger than its rows.
MASK_WHOLE = 1 << 24
LEAST_BLOCK = 256  # rows; smaller products are slow
PASS_HIDDEN, PASS_INNER = 12, 3  # peak values per position, in multiples of the hidden and inner widths
# Elements, about 15 frames. Masks for every clip length up to two minutes would take 15 GB.
MASK_KEPT = 1 << 20


@dataclass(frozen=True)
class Group:
    """`count` items of one layout, and the keys and values of their constant prefix per layer (None: empty prefix)."""

    layout: Layout
    count: int
    prefix: list[KeyValue] | None
    cos: Tensor  # fp32 [rows, 1, d]: positions of the segments
    sin: Tensor
    mask: Tensor | None  # 0 or -inf [rows, length], for a long sequence only its last rows; None for a single row


class LayerWeights:
    """One decoder layer, in which matrices with the same input are fused."""

    def __init__(self, layer: DecoderLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.heads = attention.heads
        self.query, self.output, self.down = fused(attention.q_proj), fused(attention.o_proj), fused(mlp.down_proj)
        keys, values = attention.k_proj.multiway, attention.v_proj.multiway
        self.key_value = [fused(keys[way], values[way]) for way in (0, 1)]
        self.gate_up = fused(mlp.gate_proj, mlp.up_proj)
        self.input_norm = list(layer.input_layernorm.multiway)
        self.output_norm = list(layer.post_attention_layernorm.multiway)


class FastLanguage:
    """`MPLUGOwl2.forward_embedded` for inference: computes only the last position and caches constant prefixes."""

    def __init__(self, model: MPLUGOwl2) -> None:
        config = model.config
        self.embedding = model.model.embed_tokens.weight
        self.head = model.lm_head.weight
        self.norm: RMSNorm = model.model.norm
        self.layers = [LayerWeights(layer) for layer in model.model.layers]
        self.head_dim, self.theta = config.head_dim, config.rope_theta
        self.widths = config.hidden_size, config.intermediate_size
        self.device = self.head.device
        self._tables = rotary_tables(512, self.head_dim, self.theta, self.device)
        self.on_block: Callable[[], None] = lambda: None  # called between blocks of a long sequence; can raise to stop
        self._groups: dict[Layout, tuple[Tensor, Tensor, Tensor | None, Tensor]] = {}
        self._prefixes: dict[tuple[int, ...], list[KeyValue]] = {}

    def group(self, layout: Layout, count: int) -> tuple[Group, Tensor]:
        """The tables of `count` items of one layout, and the embeddings of one item's text rows [text, D]."""
        found = self._groups.get(layout)
        if found is None:
            start, stop = len(layout.prefix), layout.length
            if stop > len(self._tables[0]):
                self._tables = rotary_tables(min(2 * stop, stop + 8192), self.head_dim, self.theta, self.device)
            cos, sin = (table[start:stop, None] for table in self._tables)
            mask = self._mask(layout)
            text = self.embedding[torch.tensor(layout.text, dtype=torch.long, device=self.device)]
            found = (cos, sin, mask if layout.rows > 1 else None, text)
            if layout.rows * stop <= MASK_KEPT:
                if len(self._groups) >= PREFIXES_KEPT:
                    self._groups.pop(next(iter(self._groups)))
                self._groups[layout] = found
        cos, sin, mask, text = found
        return Group(layout, count, self._prefix(layout.prefix), cos, sin, mask), text

    def _mask(self, layout: Layout) -> Tensor:
        """A mask that is added to the scores: SDPA would convert a boolean mask in every layer.

        For a long sequence, the mask of its last block of rows. Earlier blocks use the right part of it.
        """
        rows, length = layout.rows, layout.length
        if rows * length > MASK_WHOLE:
            rows = 1 if self.device.type == "cuda" else min(rows - 1, max(LEAST_BLOCK, MASK_WHOLE // length))
        mask = torch.zeros(rows, length, device=self.device)
        mask[:, length - rows :] = torch.full((rows, rows), float("-inf"), device=self.device).triu(1)
        return mask.to(self.head.dtype)

    def pass_bytes(self, layout: Layout) -> int:
        """Estimated peak memory of a pass over one such sequence, including its features and keys."""
        hidden, inner = self.widths
        return layout.length * (PASS_HIDDEN * hidden + PASS_INNER * inner) * self.head.dtype.itemsize

    def _prefix(self, ids: tuple[int, ...]) -> list[KeyValue] | None:
        if not ids:
            return None
        if ids not in self._prefixes:
            if len(self._prefixes) >= PREFIXES_KEPT:
                self._prefixes.pop(next(iter(self._prefixes)))
            group, text = self.group(prefix_layout(ids), 1)
            kept: list[KeyValue] = []
            self._last_rows(text.clone(), 0, [group], kept)  # `text` is kept for later calls
            self._prefixes[ids] = kept
        return self._prefixes[ids]

    def last_logits(self, groups: list[Group], image: Tensor, text: Tensor) -> Tensor:
        """Image rows and text rows of all groups, [ΣI, D] and [ΣT, D] → fp32 logits at the last position [items, V]."""
        x = self._last_rows(torch.cat([image, text]) if len(image) else text, len(image), groups, None)
        return self._head(rms_norm(x, x.shape[-1:], None, self.norm.eps) * self.norm.weight)

    def _head(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return linear(x, self.head)
        if x.device.type != "cpu":
            return torch.mm(x, self.head.t(), out_dtype=torch.float32)  # 16-bit products, summed in fp32
        return torch.cat([linear(x.float(), part.float()) for part in self.head.split(4096)], dim=1)

    def _last_rows(self, x: Tensor, images: int, groups: list[Group], kept: list[KeyValue] | None) -> Tensor:
        """All layers; overwrites `x`. The last layer computes only keys and values, except at the last positions."""
        for index, layer in enumerate(self.layers):
            final = index == len(self.layers) - 1
            normed = self._norm(x, images, layer.input_norm)
            key_value = [
                layer.key_value[1](normed[:images]) if images else normed[:0],
                layer.key_value[0](normed[images:]) if images < len(x) else normed[:0],
            ]
            if final and kept is None:
                blocks = _blocks(x, images, groups), _blocks(normed, images, groups)
                x, normed = (torch.cat([_last(*b, g) for b, g in zip(part, groups, strict=True)]) for part in blocks)
            elif final:
                self._attend(layer, index, groups, images, None, key_value, kept)
                return x
            query = layer.query(normed)
            context = self._attend(layer, index, groups, images, query, key_value, kept, final)
            layer.output.add_to(x, context)
            if not final:
                normed = self._norm(x, images, layer.output_norm)
            else:
                normed = self._last_norm(x, groups, layer.output_norm)
            gate, up = layer.gate_up(normed).chunk(2, dim=1)
            layer.down.add_to(x, silu(gate).mul_(up))
        return x

    @staticmethod
    def _norm(x: Tensor, images: int, norms: list[RMSNorm]) -> Tensor:
        """Apply the image norm to the first `images` rows and the text norm to the rest."""
        if norms[0].eps == norms[1].eps:
            normed = rms_norm(x, x.shape[-1:], None, norms[0].eps)
        else:
            normed = torch.cat(
                [
                    rms_norm(x[:images], x.shape[-1:], None, norms[1].eps),
                    rms_norm(x[images:], x.shape[-1:], None, norms[0].eps),
                ]
            )
        normed[:images].mul_(norms[1].weight)
        normed[images:].mul_(norms[0].weight)
        return normed

    def _last_norm(self, x: Tensor, groups: list[Group], norms: list[RMSNorm]) -> Tensor:
        parts, start = [], 0
        for group in groups:
            norm = norms[1 if group.layout.last[0] == IMAGE else 0]
            rows = x[start : start + group.count]
            parts.append(rms_norm(rows, x.shape[-1:], None, norm.eps) * norm.weight)
            start += group.count
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _attend(
        self,
        layer: LayerWeights,
        index: int,
        groups: list[Group],
        images: int,
        query: Tensor | None,
        key_value: list[Tensor],
        kept: list[KeyValue] | None,
        final: bool = False,
    ) -> Tensor:
        """Causal attention per group, whose items have the same length. → context in the block order of the rows."""
        image_parts, text_parts, last_parts = [], [], []
        queries = [None] * len(groups) if query is None or final else _blocks(query, images, groups)
        start, image_at, text_at = 0, 0, 0
        for group, block in zip(groups, queries, strict=True):
            layout, count = group.layout, group.count
            image_to, text_to = image_at + count * layout.image_rows, text_at + count * len(layout.text)
            both = _in_order(key_value[0][image_at:image_to], key_value[1][text_at:text_to], group)
            image_at, text_at = image_to, text_to
            key, value = (part.unflatten(2, (layer.heads, -1)) for part in both.chunk(2, dim=-1))  # [B, T, heads, d]
            key = rotate(key, group.cos, group.sin)
            if kept is not None:
                kept.append((key, value.contiguous()))
            if query is None:
                continue
            if group.prefix is not None:
                before_key, before_value = group.prefix[index]
                key = torch.cat([before_key.expand(count, -1, -1, -1), key], dim=1)
                value = torch.cat([before_value.expand(count, -1, -1, -1), value], dim=1)
            if final:
                rows = query[start : start + count].view(count, 1, layer.heads, -1)
                rows = rotate(rows, group.cos[-1:], group.sin[-1:])
                start += count
                last_parts.append(_sdpa(rows, key, value, None).flatten(0, 1))
            else:
                rows = rotate(_in_order(*block, group).unflatten(2, (layer.heads, -1)), group.cos, group.sin)
                image, text = _out_of_order(self._causal(rows, key, value, group.mask), layout)
                image_parts += image
                text_parts += text
        return torch.cat(last_parts or image_parts + text_parts) if query is not None else both

    def _causal(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """`_sdpa`, for a long sequence in blocks of rows, without products for masked keys."""
        rows, length = query.shape[1], key.shape[1]
        if mask is None or len(mask) == rows:
            return _sdpa(query, key, value, mask)
        if query.is_cuda:
            return _sdpa_square(query, key, value)
        parts = []
        for block in query.split(len(mask), dim=1):
            self.on_block()
            rows -= block.shape[1]  # rows after this block
            seen = length - rows
            parts.append(_sdpa(block, key[:, :seen], value[:, :seen], mask[-block.shape[1] :, rows:]))
        return torch.cat(parts, dim=1)


def _sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """[B, T, heads, d] each → [B, T, C]."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)


def _sdpa_square(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`_sdpa` with the built-in causal mask, which needs no mask tensor. Zero rows pad the queries to a square."""
    before = key.shape[1] - query.shape[1]
    query = pad(query, (0, 0, 0, 0, before, 0))
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)[:, before:]


def _blocks(rows: Tensor, images: int, groups: list[Group]) -> list[tuple[Tensor, Tensor]]:
    """The image rows and the text rows of each group."""
    found, image_at, text_at = [], 0, images
    for group in groups:
        image_to = image_at + group.count * group.layout.image_rows
        text_to = text_at + group.count * len(group.layout.text)
        found.append((rows[image_at:image_to], rows[text_at:text_to]))
        image_at, text_at = image_to, text_to
    return found


def _in_order(image: Tensor, text: Tensor, group: Group) -> Tensor:
    """A group's two blocks → [B, rows, C] in sequence order."""
    sources = (
        text.view(group.count, len(group.layout.text), text.shape[-1]),
        image.view(group.count, group.layout.image_rows, image.shape[-1]),
    )
    parts = [sources[kind][:, start:stop] for kind, start, stop in group.layout.segments]
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def _out_of_order(rows: Tensor, layout: Layout) -> tuple[list[Tensor], list[Tensor]]:
    """The inverse of `_in_order`: [B, rows, C] → the image block and the text block, each [B·n, C]."""
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    at = 0
    for kind, start, stop in layout.segments:
        parts[kind].append(rows[:, at : at + stop - start])
        at += stop - start
    text, image = ([torch.cat(part, dim=1).flatten(0, 1)] if part else [] for part in parts)
    return image, text


def _last(image: Tensor, text: Tensor, group: Group) -> Tensor:
    kind, row = group.layout.last
    block = image if kind == IMAGE else text
    return block.view(group.count, -1, block.shape[-1])[:, row]
