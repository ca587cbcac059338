"""The language model: a literal implementation of LLaMA-2 with modality-adaptive modules.

Specified in docs/mplug-owl2.md#language-model and #modality-adaptive-modules.
"""

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .vector_math import warm_up_vector_math

warm_up_vector_math()  # must run before the first multi-threaded computation


def rotary_tables(length: int, head_dim: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin [length, head_dim] in fp32. Rounding them to 16 bits changes logits by up to 2e-2."""
    frequencies = 1.0 / (theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim))
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequencies
    angles = torch.cat([angles, angles], dim=1)
    return angles.cos(), angles.sin()


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions in fp32 and return the dtype of x: x [..., T, d], tables [T, d]."""
    wide = x.float()
    return (wide * cos + rotate_half(wide) * sin).to(x.dtype)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


class Multiway(nn.Module):
    """Two copies of a module: copy 0 for text positions, copy 1 for image positions."""

    def __init__(self, text: nn.Module, image: nn.Module) -> None:
        super().__init__()
        self.multiway = nn.ModuleList([text, image])

    def forward(self, x: Tensor, image_rows: Tensor) -> Tensor:
        """x [B, T, C], image_rows bool [B, T]. Computes both copies and selects, which needs no gather."""
        text, image = self.multiway
        return torch.where(image_rows[..., None], image(x), text(x))


class SelfAttention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = Multiway(nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False))
        self.v_proj = Multiway(nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False))
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, image_rows: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        query = rotate(self.split(self.q_proj(x)), cos, sin)
        key = rotate(self.split(self.k_proj(x, image_rows)), cos, sin)
        value = self.split(self.v_proj(x, image_rows))
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5  # [B, heads, T, T]
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        weights = scores.float().masked_fill(future, float("-inf")).softmax(dim=-1).to(x.dtype)
        return self.o_proj((weights @ value).transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:  # [B, T, C] → [B, heads, T, d]
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.mlp = Mlp(config)
        self.input_layernorm = multiway_norm(config)
        self.post_attention_layernorm = multiway_norm(config)

    def forward(self, x: Tensor, image_rows: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x, image_rows), image_rows, cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x, image_rows))


def multiway_norm(config: ModelConfig) -> Multiway:
    return Multiway(RMSNorm(config.hidden_size, config.rms_norm_eps), RMSNorm(config.hidden_size, config.rms_norm_eps))
