"""The language model of the scoring engine.

The rows of all questions of a pass are one matrix in sequence order. Each modality-adaptive product reads a slice of
the rows in block order: first every image row, then every text row.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear, rms_norm

from ..language import DecoderLayer, Multiway, RMSNorm, rotary_tables
from ..model import MPLUGOwl2
from .attention import causal, choose
from .kernels.coded import Rows, add, gated_rows, rms_rows
from .kernels.sequence import in_sequence
from .layout import Layout, prefix_layout
from .matrix import fused, shared_kind
from .plan import Plan, Question, make_plan

PREFIXES_KEPT, JOINS_KEPT = 64, 16
PASS_HIDDEN, PASS_INNER = 12, 3  # Peak values per position, in multiples of the hidden and inner widths.
# What a pass reads beside its plan.
# It has keys and values of the prefixes [layers, P, 2·D], and cos and sin [positions, d].
# All are kept and shared between plans. A CUDA graph must hold those that it reads.
Constants = tuple[Tensor, Tensor, Tensor]


class Norms:
    """The text norm and the image norm of a layer. Their weights become views of one tensor [2, D]."""

    def __init__(self, module: Multiway) -> None:
        text, image = module.multiway
        self.weights = torch.stack([text.weight.data, image.weight.data])
        text.weight.data, image.weight.data = self.weights
        self.text_eps, self.image_eps = text.eps, image.eps

    def __call__(self, x: Tensor, delta: Tensor | None, ways: Tensor, rows: Tensor | None, kind: str | None) -> Rows:
        """Add `delta` to x in place. → Normed rows, or their codes of `kind`."""
        return rms_rows(kind, x, delta, self.weights, self.text_eps, self.image_eps, ways, rows)


class LayerWeights:
    """One decoder layer, in which matrices with the same input are fused."""

    def __init__(self, layer: DecoderLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.query, self.output, self.down = fused(attention.q_proj), fused(attention.o_proj), fused(mlp.down_proj)
        keys, values = attention.k_proj.multiway, attention.v_proj.multiway
        self.key_value = [fused(keys[way], values[way]) for way in (0, 1)]
        self.gate_up = fused(mlp.gate_proj, mlp.up_proj)
        self.width = attention.q_proj.in_features
        self.kind = shared_kind(self.query, *self.key_value)
        self.input_norm, self.output_norm = Norms(layer.input_layernorm), Norms(layer.post_attention_layernorm)

    def keys_and_values(self, normed: Rows, images: int) -> tuple[Tensor, Tensor]:
        """Rows in block order → keys, not rotated, and values of the image rows and of the text rows, [n, 2·D] each."""
        image, text = normed[:images], normed[images:]
        none = normed.new_empty(0, 2 * self.width)
        return self.key_value[1](image) if len(image) else none, self.key_value[0](text) if len(text) else none


class FastLanguage:
    """`MPLUGOwl2.forward_embedded` for inference: computes only the last position and caches constant prefixes."""

    def __init__(self, model: MPLUGOwl2) -> None:
        config = model.config
        self.embedding = model.model.embed_tokens.weight
        self.head = model.lm_head.weight
        self.norm: RMSNorm = model.model.norm
        self.layers = [LayerWeights(layer) for layer in model.model.layers]
        self.head_dim, self.theta, self.heads = config.head_dim, config.rope_theta, config.num_attention_heads
        self.widths = config.hidden_size, config.intermediate_size
        self.tokens_per_frame = config.tokens_per_frame
        self.device = self.head.device
        self.attention = choose(self.device, self.head.dtype, self.head_dim)
        self.on_block: Callable[[], None] = lambda: None  # called between blocks of a long sequence; can raise to stop
        self._tables = rotary_tables(512, self.head_dim, self.theta, self.device)
        self._prefixes: dict[tuple[int, ...], Tensor] = {}
        self._joins: dict[tuple[tuple[int, ...], ...], Tensor] = {}

    def pass_bytes(self, layout: Layout) -> int:
        """Estimated peak memory of a pass over one such sequence, including its features and keys."""
        hidden, inner = self.widths
        return layout.length * (PASS_HIDDEN * hidden + PASS_INNER * inner) * self.head.dtype.itemsize

    def constants(self, plan: Plan) -> Constants:
        """The constant tensors that a pass of this plan reads. They are computed at first use."""
        longest = max(length for _, _, length in plan.all.spans.runs)
        if longest > len(self._tables[0]):
            self._tables = rotary_tables(min(2 * longest, longest + 8192), self.head_dim, self.theta, self.device)
        cos, sin = self._tables
        return self._joined(plan.prefixes), cos, sin

    def _joined(self, prefixes: tuple[tuple[int, ...], ...]) -> Tensor:
        """Keys and values of several prefixes, one after the other: [layers, P, 2·D]."""
        if len(prefixes) == 1:
            return self._prefix(prefixes[0])
        if prefixes not in self._joins:
            if len(self._joins) >= JOINS_KEPT:
                self._joins.pop(next(iter(self._joins)))
            none = self.embedding.new_empty(len(self.layers), 0, 2 * self.widths[0])
            self._joins[prefixes] = torch.cat([none, *map(self._prefix, prefixes)], dim=1)
        return self._joins[prefixes]

    def _prefix(self, ids: tuple[int, ...]) -> Tensor:
        """Keys, not rotated, and values of a constant prefix: [layers, P, 2·D]."""
        if ids not in self._prefixes:
            if len(self._prefixes) >= PREFIXES_KEPT:
                self._prefixes.pop(next(iter(self._prefixes)))
            plan = make_plan([Question(prefix_layout(ids), 0)], self.tokens_per_frame, self.device)
            kept: list[Tensor] = []
            self._layers(self.embedding[plan.text], plan, self.constants(plan), kept)
            self._prefixes[ids] = torch.stack(kept)
        return self._prefixes[ids]

    def last_logits(self, plan: Plan, features: Tensor, constants: Constants) -> Tensor:
        """Features [frames · tokens, D] of the plan's frames → fp32 logits at the last positions [questions, V]."""
        rows = torch.cat([features, self.embedding.index_select(0, plan.text)]).index_select(0, plan.sources)
        x = self._layers(rows, plan, constants, None)
        return self._head(rms_norm(x, x.shape[-1:], None, self.norm.eps) * self.norm.weight)

    def _head(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            return linear(x, self.head)
        if x.device.type != "cpu":
            return torch.mm(x, self.head.t(), out_dtype=torch.float32)  # 16-bit products, summed in fp32
        return torch.cat([linear(x.float(), part.float()) for part in self.head.split(4096)], dim=1)

    def _layers(self, x: Tensor, plan: Plan, constants: Constants, kept: list[Tensor] | None) -> Tensor:
        """All layers; overwrites `x` [R, D]. The last layer computes only keys and values, except at the last rows.

        `kept` gets the keys and values of the text rows of each layer; then the last layer computes nothing else.
        """
        prefixes, cos, sin = constants
        delta = None
        for index, layer in enumerate(self.layers):
            final = index == len(self.layers) - 1
            normed = layer.input_norm(x, delta, plan.ways, plan.order, None if final else layer.kind)
            image, text = layer.keys_and_values(normed, plan.images)
            if kept is not None:
                kept.append(text)
                if final:
                    return x
            rows = plan.last if final else plan.all
            if final and isinstance(normed, Tensor):  # rows are chosen before they are quantised
                x, normed = x.index_select(0, plan.last_rows), normed.index_select(0, rows.blocks)
            tables = rows.query_rows, rows.places, plan.key_rows, plan.key_places
            query, keys = in_sequence(layer.query(normed), image, text, prefixes[index], *tables, cos, sin, self.heads)
            context = causal(query, keys, self.heads, rows.spans, self.attention, self.on_block)
            delta = layer.output.delta(x, context)
            normed = layer.output_norm(x, delta, rows.ways, None, layer.gate_up.kind)
            delta = layer.down.delta(x, gated_rows(layer.gate_up(normed), layer.down.kind))
        return add(x, delta)
