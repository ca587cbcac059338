"""The visual abstractor: image tokens → a fixed number of language-model tokens.

Specified in docs/mplug-owl2.md#visual-abstractor.
"""

import torch
from torch import Tensor, nn

from .config import AbstractorConfig
from .vision import BlockStack


def sincos_1d(positions: Tensor, width: int) -> Tensor:
    """Positions [N] → [N, width]: the sines of all frequencies, then the cosines."""
    frequencies = 10000.0 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = positions.double()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def grid_positions(grid: int, width: int, has_cls_token: bool, views: int = 1) -> Tensor:
    """2-D position embeddings of a grid in row-major order: [views · (grid² (+ 1 zero row for cls)), width].

    The first half of the width encodes the column, the second half the row. All views have the same positions.
    """
    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    table = torch.cat([sincos_1d(columns.flatten(), width // 2), sincos_1d(rows.flatten(), width // 2)], dim=1)
    return (torch.cat([torch.zeros(1, width), table]) if has_cls_token else table).repeat(views, 1)


def join_tokens(queries: Tensor, image: Tensor) -> Tensor:
    """The tokens that the queries attend to: [B, Q, C], [B, N, C] → [B, Q + N, C], the queries first."""
    return torch.cat([queries, image], dim=1)


def residual_stream(queries: Tensor, normed: Tensor) -> Tensor:
    """The published layer adds its output to the *normalised* queries, not to its input."""
    return normed


class Attention(nn.Module):
    def __init__(self, config: AbstractorConfig, has_cls_token: bool) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(config.encoder_hidden_size, width)
        self.value = nn.Linear(config.encoder_hidden_size, width)
        queries, places = config.num_learnable_queries, config.views * (config.grid_size**2 + int(has_cls_token))
        if torch.get_default_device().type == "meta":  # shapes only: meta arithmetic imports torch._dynamo (1 s)
            q_positions, k_positions = torch.empty(queries, width), torch.empty(places, width)
        else:
            q_positions = sincos_1d(torch.arange(queries), width)
            k_positions = grid_positions(config.grid_size, width, has_cls_token, config.views)
        self.register_buffer("q_pos_embed", q_positions)
        self.register_buffer("k_pos_embed", k_positions)

    def forward(self, queries: Tensor, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        query = self.split(self.query(queries + self.q_pos_embed))
        grid = self.k_pos_embed if places is None else self.k_pos_embed[places]
        key = self.split(self.key(tokens + torch.cat([self.q_pos_embed, grid])))
        value = self.split(self.value(tokens))
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        return (weights @ value).transpose(1, 2).flatten(2)

    def split(self, x: Tensor) -> Tensor:  # [B, N, C] → [B, heads, N, C/heads]
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class GatedMlp(nn.Module):
    def __init__(self, config: AbstractorConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.w2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.w3 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.ffn_ln = nn.LayerNorm(config.intermediate_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(self.ffn_ln(nn.functional.silu(self.w1(x)) * self.w3(x)))


class Output(nn.Module):
    def __init__(self, config: AbstractorConfig) -> None:
        super().__init__()
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm2 = nn.LayerNorm(config.hidden_size)
        self.mlp = GatedMlp(config)

    def forward(self, stream: Tensor, context: Tensor) -> Tensor:
        stream = stream + self.out_proj(context)
        return stream + self.mlp(self.norm2(stream))


class CrossAttention(nn.Module):
    """norm1, normk and norm2 use LayerNorm's default eps of 1e-5. Only ffn_ln reads eps from the config."""

    def __init__(self, config: AbstractorConfig, has_cls_token: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size)
        self.normk = nn.LayerNorm(config.encoder_hidden_size)
        self.attention = Attention(config, has_cls_token)
        self.output = Output(config)

    def forward(self, queries: Tensor, image: Tensor, places: Tensor | None = None) -> Tensor:
        normed = self.norm1(queries)
        context = self.attention(normed, join_tokens(normed, self.normk(image)), places)
        return self.output(residual_stream(queries, normed), context)


class Layer(nn.Module):
    def __init__(self, config: AbstractorConfig, has_cls_token: bool) -> None:
        super().__init__()
        self.crossattention = CrossAttention(config, has_cls_token)

    def forward(self, queries: Tensor, image: Tensor, places: Tensor | None = None) -> Tensor:
        return self.crossattention(queries, image, places)


class VisualAbstractor(nn.Module):
    """Image tokens [B, N, encoder_hidden_size] → [B, Q + 1, D]. D is the language model's width; vit_eos is last."""

    def __init__(self, config: AbstractorConfig, language_width: int, has_cls_token: bool = True) -> None:
        super().__init__()
        self.query_embeds = nn.Parameter(torch.empty(1, config.num_learnable_queries, config.hidden_size))
        self.encoder = BlockStack([Layer(config, has_cls_token) for _ in range(config.num_hidden_layers)])
        self.visual_fc = nn.Linear(config.hidden_size, language_width)
        self.vit_eos = nn.Parameter(torch.empty(1, 1, language_width))

    def forward(self, image: Tensor, places: Tensor | None = None) -> Tensor:
        """`places` [N] are the positions of the given tokens, because training can drop tokens. None: all tokens."""
        queries = self.encoder(self.query_embeds.expand(len(image), -1, -1), image, places)
        return self.close(self.visual_fc(queries))

    def close(self, tokens: Tensor) -> Tensor:
        """Append `vit_eos`, the last token of every picture: [B, Q, D] → [B, Q + 1, D]."""
        return torch.cat([tokens, self.vit_eos.expand(len(tokens), -1, -1)], dim=1)
